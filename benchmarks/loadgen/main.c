/* Options, the phases of a run, and its one line of JSON. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull
#define STUCK (20 * SECOND)  /* nobody logged in or joined for so long: give up */
#define STALLED (8 * SECOND) /* nothing delivered for so long: the same */

options opt = {
    .protocol = "lair",
    .host = "127.0.0.1",
    .password = "secret",
    .user = "u",
    .domain = "localhost",
    .pids = "",
    .label = "",
    .rooms = 1,
    .per_room = 50,
    .senders = 5,
    .window = 1,
    .size = 200,
    .seconds = 6,
    .warm_up = 2,
    .sources = 1,
    .connecting = 64,
    .joining = 16,
    .settle_ms = 500,
    .hold = 3,
};
const adapter *proto;
conn *conns;
int conn_count, member_count;
enum phase phase = LOGGING_IN;
bool measuring;
char **tokens, **room_ids;
int token_count, room_id_count;

static const adapter *const adapters[] = {&irc, &xmpp, &mqtt, &nats, &redis, &matrix, &lair};

static conn **senders;
static int sender_count;

/* ---- options */

static const char usage[] =
    "usage: loadgen --port N [--proto lair] [options]; prints one line of JSON\n"
    "  where      --host IP --port N --tls --srcs N (source addresses 127.0.1.1 and on)\n"
    "  who        --proto irc|xmpp|mqtt|nats|redis|matrix|lair --user --pass --domain\n"
    "             --tokens FILE --token-base LINE --roomids FILE\n"
    "  how many   --rooms N --per MEMBERS --senders N (in each room) --size BYTES\n"
    "  how often  --window N (in flight per sender) or --rate N (a second, all senders together)\n"
    "  how long   --warm S --secs S --settle MS\n"
    "  instead    --idle N --hold S (log in, hold), --join-only [--joined N] (cost of joining)\n"
    "  ramp       --conc N (connecting at once) --jconc N (joining at once)\n"
    "  measured   --pid A,B --fsyncs FILE --label TEXT; other: --qos 0|1 --quickack --verbose\n";

enum option_id { HOST = 1, PORT, TLS, ROOMS, PER, SENDERS, WINDOW, RATE, SIZE, SECS, WARM, SRCS, IDLE, HOLD, CONC, JCONC, PASS, USER, DOMAIN_, PROTO, PID, LABEL, TOKENS, TOKEN_BASE, ROOMIDS, QOS, VERBOSE, SETTLE, JOIN_ONLY, JOINED, QUICKACK, FSYNCS, HELP };

static const struct option names[] = {
    {"host", 1, 0, HOST},     {"port", 1, 0, PORT},       {"tls", 0, 0, TLS},
    {"rooms", 1, 0, ROOMS},   {"per", 1, 0, PER},         {"senders", 1, 0, SENDERS},
    {"window", 1, 0, WINDOW}, {"rate", 1, 0, RATE},       {"size", 1, 0, SIZE},
    {"secs", 1, 0, SECS},     {"warm", 1, 0, WARM},       {"srcs", 1, 0, SRCS},
    {"idle", 1, 0, IDLE},     {"hold", 1, 0, HOLD},       {"conc", 1, 0, CONC},
    {"jconc", 1, 0, JCONC},   {"pass", 1, 0, PASS},       {"user", 1, 0, USER},
    {"domain", 1, 0, DOMAIN_}, {"proto", 1, 0, PROTO},    {"pid", 1, 0, PID},
    {"label", 1, 0, LABEL},   {"tokens", 1, 0, TOKENS},   {"token-base", 1, 0, TOKEN_BASE},
    {"roomids", 1, 0, ROOMIDS}, {"qos", 1, 0, QOS},       {"verbose", 0, 0, VERBOSE},
    {"settle", 1, 0, SETTLE}, {"join-only", 0, 0, JOIN_ONLY}, {"joined", 1, 0, JOINED},
    {"quickack", 0, 0, QUICKACK}, {"fsyncs", 1, 0, FSYNCS}, {"help", 0, 0, HELP},
    {0},
};

static void fail_usage(const char *why)
{
    fprintf(stderr, "loadgen: %s\n%s", why, usage);
    exit(2);
}

static void take_option(int id)
{
    switch (id) {
    case HOST: opt.host = optarg; break;
    case PORT: opt.port = atoi(optarg); break;
    case TLS: opt.tls = true; break;
    case ROOMS: opt.rooms = atoi(optarg); break;
    case PER: opt.per_room = atoi(optarg); break;
    case SENDERS: opt.senders = atoi(optarg); break;
    case WINDOW: opt.window = atoi(optarg); break;
    case RATE: opt.rate = atof(optarg); break;
    case SIZE: opt.size = atoi(optarg); break;
    case SECS: opt.seconds = atoi(optarg); break;
    case WARM: opt.warm_up = atoi(optarg); break;
    case SRCS: opt.sources = atoi(optarg); break;
    case IDLE: opt.idle = atoi(optarg); break;
    case HOLD: opt.hold = atoi(optarg); break;
    case CONC: opt.connecting = atoi(optarg); break;
    case JCONC: opt.joining = atoi(optarg); break;
    case PASS: opt.password = optarg; break;
    case USER: opt.user = optarg; break;
    case DOMAIN_: opt.domain = optarg; break;
    case PROTO: opt.protocol = optarg; break;
    case PID: opt.pids = optarg; break;
    case LABEL: opt.label = optarg; break;
    case TOKENS: opt.tokens_file = optarg; break;
    case TOKEN_BASE: opt.token_base = atoi(optarg); break;
    case ROOMIDS: opt.rooms_file = optarg; break;
    case QOS: opt.qos = atoi(optarg); break;
    case VERBOSE: opt.verbose++; break;
    case SETTLE: opt.settle_ms = atoi(optarg); break;
    case JOIN_ONLY: opt.join_only = true; break;
    case JOINED: opt.members_already = atoi(optarg); break;
    case QUICKACK: opt.quick_ack = true; break;
    case FSYNCS: opt.fsyncs_file = optarg; break;
    case HELP: fputs(usage, stdout); exit(0);
    default: fail_usage("unknown option");
    }
}

static void check_options(void)
{
    for (size_t i = 0; i < sizeof adapters / sizeof *adapters; i++)
        if (!strcmp(adapters[i]->name, opt.protocol))
            proto = adapters[i];
    if (!proto)
        fail_usage("no such protocol");
    if (opt.port < 1 || opt.port > 65535)
        fail_usage("--port is needed");
    if (opt.size > 4000 || opt.size < 0)
        fail_usage("--size is 0 to 4000");
    if (opt.rooms < 1 || opt.per_room < 1 || opt.senders > opt.per_room || opt.window < 1 || opt.window >= RING)
        fail_usage("--rooms, --per, --senders or --window make no sense");
    if (opt.sources < 1 || opt.sources > 250 || opt.token_base < 0)
        fail_usage("--srcs or --token-base make no sense");
}

static char **read_lines(const char *path, int *count_lines)
{
    FILE *f = fopen(path, "r");
    char line[1024], **lines = NULL;
    if (!f) {
        perror(path);
        exit(2);
    }
    *count_lines = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line)
            continue;
        lines = realloc(lines, sizeof *lines * (*count_lines + 1));
        lines[(*count_lines)++] = strdup(line);
    }
    fclose(f);
    if (!*count_lines) {
        fprintf(stderr, "%s is empty\n", path);
        exit(2);
    }
    return lines;
}

/* ---- who is there: connection i is member i % per of room i / per, the first `senders` send */

static void make_conns(void)
{
    sender_count = opt.idle ? 0 : opt.rooms * opt.senders;
    member_count = opt.idle ? opt.idle : opt.rooms * opt.per_room;
    conn_count = member_count + (proto->sends_apart ? sender_count : 0);
    conns = calloc(conn_count, sizeof *conns);
    senders = calloc(sender_count + 1, sizeof *senders);
    for (int i = 0; i < conn_count; i++) {
        conns[i].id = i;
        conns[i].fd = -1;
        conns[i].room = opt.idle ? 0 : i / opt.per_room;
    }
    int made = 0;
    for (int s = 0; !opt.idle && s < opt.senders; s++) {
        for (int room = 0; room < opt.rooms; room++) {
            conn *c = senders[made] = &conns[room * opt.per_room + s];
            c->is_sender = true;
            c->missing = calloc(RING, sizeof *c->missing);
            c->sent_at = calloc(RING, sizeof *c->sent_at);
            if (proto->sends_apart) {
                c->second = &conns[member_count + made];
                c->second->is_second = true;
                c->second->room = room;
            }
            made++;
        }
    }
}

/* ---- logging in */

typedef struct {
    double seconds, server_cpu, own_cpu;
} cost;

static void show_stuck(const char *what, bool (*is_through)(const conn *))
{
    for (int i = 0; i < conn_count; i++) {
        conn *c = &conns[i];
        if (c->state == DEAD || is_through(c))
            continue;
        fprintf(stderr, "%s stuck: conn %d state %d stage %d input: %.*s\n", what, i, c->state, c->stage,
                c->in_size > 400 ? 400 : c->in_size, c->in ? c->in : "");
        return;
    }
}

static bool is_ready(const conn *c)
{
    return c->is_ready;
}

static bool is_joined(const conn *c)
{
    return c->is_joined;
}

static cost log_in(void)
{
    double server = server_cpu(), own = own_cpu();
    uint64_t start = now_ns(), progress = start;
    int next = 0;
    while (ready_count + dead_count < conn_count) {
        while (next < conn_count && pending_count < opt.connecting)
            dial(&conns[next++]);
        int before = ready_count + dead_count;
        pump(SECOND / 10);
        if (ready_count + dead_count != before)
            progress = now_ns();
        if (now_ns() - progress > STUCK) {
            show_stuck("login", is_ready);
            break;
        }
    }
    if (ready_count < conn_count)
        fprintf(stderr, "login: %d ready, %d dead of %d\n", ready_count, dead_count, conn_count);
    if (!ready_count)
        exit(3);
    return (cost){(now_ns() - start) / 1e9, server_cpu() - server, own_cpu() - own};
}

/* ---- holding */

static void hold(cost login, double rss_before)
{
    double rss = server_rss(), cpu = server_cpu();
    uint64_t start = now_ns(), end = start + opt.hold * SECOND;
    while (now_ns() < end)
        pump(SECOND / 20);
    double idle_cpu = (server_cpu() - cpu) / ((now_ns() - start) / 1e9), rss_after = server_rss();
    printf("{\"label\":\"%s\",\"mode\":\"idle\",\"tls\":%d,\"conns\":%d,\"dead\":%d,\"refused\":%d,\"connect_s\":%.3f,"
           "\"hs_per_s\":%.1f,\"srv_cpu_ms_per_conn\":%.4f,\"gen_cpu_frac\":%.2f,\"rss0_mib\":%.1f,"
           "\"rss_mib\":%.1f,\"rss_after_hold_mib\":%.1f,\"mib_per_1k\":%.2f,\"idle_cpu_frac\":%.4f}\n",
           opt.label, opt.tls, ready_count, dead_count, refused_count, login.seconds, ready_count / login.seconds,
           login.server_cpu * 1e3 / ready_count, login.own_cpu / login.seconds, rss_before, rss, rss_after,
           (rss_after - rss_before) * 1000 / ready_count, idle_cpu);
}

/* ---- joining */

static void wait_for_silence(void)
{
    last_input = now_ns();
    uint64_t most = now_ns() + STUCK;
    while (now_ns() - last_input < opt.settle_ms * 1000000ull && now_ns() < most)
        pump(SECOND / 50);
}

/* All connections join; the cost is of those from --joined on, after the others were silent. */
static cost join_all(void)
{
    int alive = conn_count - dead_count, next = 0, asked = 0;
    for (int i = 0; i < opt.members_already && i < conn_count; i++)
        if (conns[i].state == UP)
            joined(&conns[i]);
    wait_for_silence();
    double server = server_cpu(), own = own_cpu();
    uint64_t start = now_ns(), progress = start;
    asked = joined_count;
    while (joined_count < alive) {
        for (; next < conn_count && asked - joined_count < opt.joining; next++) {
            conn *c = &conns[next];
            if (c->state != UP || c->is_joined)
                continue;
            asked++;
            proto->join(c);
            flush_out(c);
        }
        int before = joined_count;
        pump(SECOND / 10);
        if (joined_count != before)
            progress = now_ns();
        if (refused_count || now_ns() - progress > STUCK) {
            fprintf(stderr, "join: %d of %d\n", joined_count, alive);
            show_stuck("join", is_joined);
            exit(4);
        }
    }
    double seconds = (now_ns() - start) / 1e9;
    wait_for_silence();
    return (cost){seconds, server_cpu() - server, own_cpu() - own};
}

static void report_joins(cost joining, uint64_t input_before)
{
    int joins = joined_count - opt.members_already;
    printf("{\"label\":\"%s\",\"mode\":\"join\",\"joins\":%d,\"members_before\":%d,\"jconc\":%d,\"refused\":%d,\"join_s\":%.3f,"
           "\"srv_cpu_ms_per_join\":%.4f,\"rx_bytes_per_join\":%.0f}\n",
           opt.label, joins, opt.members_already, opt.joining, refused_count, joining.seconds,
           joining.server_cpu * 1e3 / joins, (double)(count.received_bytes - input_before) / joins);
}

/* ---- running */

typedef struct {
    uint64_t at, fsyncs;
    counters count;
    double server_cpu, own_cpu;
} mark;

static mark mark_now(void)
{
    return (mark){now_ns(), server_fsyncs(), count, server_cpu(), own_cpu()};
}

/* Send what is due by the schedule, and wait for input until the next is. */
static void keep_rate(uint64_t start, uint64_t *next)
{
    double interval = SECOND / opt.rate;
    while (start + (uint64_t)(*next * interval) <= now_ns()) {
        conn *s = senders[*next % sender_count];
        if (s->state == UP && s->in_flight < RING - 1)
            emit(s, start + (uint64_t)(*next * interval));
        else
            count.skipped++;
        ++*next;
    }
    int64_t left = start + (uint64_t)(*next * interval) - now_ns();
    pump(left > 0 ? left : 0);
}

/* Returns whether it ended early because nothing was delivered any more. */
static bool run(mark *from, mark *to)
{
    uint64_t start = now_ns(), measure_at = start + opt.warm_up * SECOND;
    uint64_t end = measure_at + opt.seconds * SECOND;
    uint64_t next = 0, copies = count.copies, copies_at = start;
    bool stalled = false;

    phase = RUNNING;
    for (int i = 0; opt.rate == 0 && i < sender_count; i++)
        for (int w = 0; w < opt.window; w++)
            emit(senders[i], now_ns());
    *from = mark_now();
    for (;;) {
        uint64_t now = now_ns();
        if (!measuring && now >= measure_at) {
            measuring = true;
            *from = mark_now();
        }
        if (now >= end)
            break;
        if (opt.rate)
            keep_rate(start, &next);
        else
            pump(SECOND / 10);
        if (count.copies != copies) {
            copies = count.copies;
            copies_at = now;
        } else if (now - copies_at > STALLED) {
            stalled = true;
            break;
        }
        if (refused_count)
            break;
    }
    *to = mark_now();
    return stalled;
}

static double ratio(double a, double b)
{
    return b ? a / b : 0;
}

static void report_run(const mark *from, const mark *to, bool stalled, cost login, cost joining)
{
    double seconds = (to->at - from->at) / 1e9;
    double cpu_us = (to->server_cpu - from->server_cpu) * 1e6, own_us = (to->own_cpu - from->own_cpu) * 1e6;
    double copies = to->count.copies - from->count.copies, done = to->count.done - from->count.done;
    double sent = to->count.sent - from->count.sent, bytes = to->count.received_bytes - from->count.received_bytes;
    int in_flight = 0;
    for (int i = 0; i < sender_count; i++)
        in_flight += senders[i]->in_flight;

    printf("{\"label\":\"%s\",\"mode\":\"%s\",\"tls\":%d,\"rooms\":%d,\"per\":%d,\"senders\":%d,\"window\":%d,\"rate\":%.0f,"
           "\"size\":%d,\"secs\":%.2f",
           opt.label, opt.rate ? "rate" : "closed", opt.tls, opt.rooms, opt.per_room, opt.senders, opt.window,
           opt.rate, opt.size, seconds);
    printf(",\"sent_s\":%.1f,\"msg_s\":%.1f,\"deliv_s\":%.1f", sent / seconds, done / seconds, copies / seconds);
    printf(",\"srv_cpu_us_per_deliv\":%.3f,\"srv_cpu_us_per_msg\":%.2f,\"srv_cpu_frac\":%.3f,\"gen_cpu_frac\":%.3f,"
           "\"gen_us_per_deliv\":%.3f",
           ratio(cpu_us, copies), ratio(cpu_us, done), cpu_us / 1e6 / seconds, own_us / 1e6 / seconds,
           ratio(own_us, copies));
    printf(",\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.2f", quantile_ms(&delivery_times, .5),
           quantile_ms(&delivery_times, .9), quantile_ms(&delivery_times, .99), quantile_ms(&delivery_times, .999),
           delivery_times.most / 1e6);
    if (proto->acknowledges)
        printf(",\"ack_p50_ms\":%.3f,\"ack_p90_ms\":%.3f,\"ack_p99_ms\":%.3f,\"ack_max_ms\":%.2f", quantile_ms(&ack_times, .5),
               quantile_ms(&ack_times, .9), quantile_ms(&ack_times, .99), ack_times.most / 1e6);
    if (opt.fsyncs_file)
        printf(",\"fsyncs\":%llu,\"fsyncs_per_1k\":%.2f", (unsigned long long)(to->fsyncs - from->fsyncs),
               ratio((to->fsyncs - from->fsyncs) * 1e3, done));
    printf(",\"rx_bytes_per_deliv\":%.0f,\"inflight_end\":%d,\"dead\":%d,\"stall\":%d,\"stray\":%llu,\"overrun\":%llu,"
           "\"skipped\":%llu,\"refused\":%d,\"http_err\":%d",
           ratio(bytes, copies), in_flight, dead_count, stalled, (unsigned long long)count.stray,
           (unsigned long long)count.overrun, (unsigned long long)count.skipped, refused_count, refused_count);
    printf(",\"sent_total\":%llu,\"rss_mib\":%.1f,\"login_s\":%.2f,\"join_s\":%.2f,\"join_cpu_ms\":%.3f}\n",
           (unsigned long long)count.sent, server_rss(), login.seconds, joining.seconds,
           ratio(joining.server_cpu * 1e3, joined_count));
}

static int exit_status(bool stalled)
{
    if (!refused_count && !dead_count && !stalled)
        return 0;
    fprintf(stderr, "loadgen: %d refused, %d connections dead%s: these are no figures\n", refused_count, dead_count,
            stalled ? ", nothing delivered any more" : "");
    return 5;
}

int main(int argc, char **argv)
{
    int id;
    while ((id = getopt_long(argc, argv, "", names, NULL)) > 0)
        take_option(id);
    check_options();
    if (opt.tokens_file)
        tokens = read_lines(opt.tokens_file, &token_count);
    if (opt.rooms_file)
        room_ids = read_lines(opt.rooms_file, &room_id_count);
    traffic_start();
    transport_start();
    make_conns();

    double rss_before = server_rss();
    cost login = log_in();
    if (opt.idle) {
        hold(login, rss_before);
        return exit_status(false);
    }

    phase = JOINING;
    cost joining = {0};
    uint64_t input_before = count.received_bytes;
    joining = join_all();
    if (opt.join_only) {
        report_joins(joining, input_before);
        return exit_status(false);
    }

    for (int i = 0; !proto->receive && i < conn_count; i++)
        conns[i].in_size = conns[i].tail_size = 0;
    mark from, to;
    bool stalled = run(&from, &to);
    report_run(&from, &to, stalled, login, joining);
    return exit_status(stalled);
}
