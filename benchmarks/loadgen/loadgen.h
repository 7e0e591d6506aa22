/* loadgen: one epoll load generator for many chat servers, one adapter per protocol.
 *
 * main.c       options, the phases of a run, the JSON line
 * transport.c  sockets, TLS, buffers, the event loop
 * traffic.c    messages sent, copies received, acknowledgements
 * measure.c    clock, histogram, what a server process has used
 * peers.c, matrix.c, lair.c  adapters
 *
 * One thread, loopback, OpenSSL.  Nothing here checks certificates: it measures, it keeps no secret.
 */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct conn conn;

/* What a protocol has to say for itself; README.rst explains how to add one. */
typedef struct {
    const char *name;
    bool self_echo;      /* the server sends the sender its own message back */
    bool acknowledges;   /* acknowledged() is called for each message, which is not done before */
    bool sends_apart;    /* each sender sends on a second connection (HTTP) */
    const char *pre_tls; /* what the server says in clear before the TLS handshake (NATS) */
    const char *alpn;    /* protocol name to offer in the TLS handshake */

    void (*open)(conn *); /* the transport is up: say the first words */
    void (*step)(conn *); /* the expected text has come: go on, ready() or joined() in the end */
    void (*join)(conn *); /* join the connection's room; joined() in the end */
    void (*send)(conn *, const char *payload, int size); /* append one message to its room */
    void (*receive)(conn *, const char *data, int size); /* takes all input; else expect() works */
} adapter;

enum state { CONNECTING, PRE_TLS, HANDSHAKE, UP, DEAD };
enum phase { LOGGING_IN, JOINING, RUNNING };

/* Messages of one sender that may be under way. */
#define RING 4096

struct conn {
    int fd, id, room;
    enum state state;
    int stage; /* an adapter's own count of steps */
    bool is_ready, is_joined, is_sender, is_second, wants_write;
    SSL *ssl;

    char expected[96]; /* what step() waits for, without a receive() of its own */
    int expected_size;

    char *in;
    int in_size, in_room;
    char *out;
    int out_size, out_done, out_room;
    char tail[40]; /* the start of a marker that the last chunk ended in */
    int tail_size;

    uint32_t sequence; /* next message's number */
    int in_flight;
    uint16_t *missing;   /* of each message under way, how many copies have not come */
    uint64_t *sent_at;   /* of each message under way, when it was due to be sent */
    conn *second;        /* where a sender sends, if not here */
    const char *token;
    char since[256];      /* matrix: where the last sync ended */
    uint64_t room_number; /* lair: the server's number of the room */
};

typedef struct {
    const char *protocol, *host, *password, *user, *domain, *pids, *label, *tokens_file, *rooms_file, *fsyncs_file;
    int port, rooms, per_room, senders, window, size;
    int seconds, warm_up, settle_ms, hold;
    int idle, sources, connecting, joining, members_already, token_base, qos, verbose;
    bool tls, join_only, quick_ack;
    double rate;
} options;

extern options opt;
extern const adapter *proto;
extern conn *conns;
extern int conn_count, member_count;
extern enum phase phase;
extern bool measuring;
extern char **tokens, **room_ids;
extern int token_count, room_id_count;

typedef struct {
    uint64_t sent, done, copies, received_bytes, stray, overrun, skipped, acks;
} counters;
extern counters count;
extern uint64_t last_input;
extern int ready_count, joined_count, dead_count, pending_count;
extern int refused_count; /* what a server refused, and gaps that it told of: a run with any fails */

/* measure.c */
typedef struct {
    uint64_t buckets[64 * 64], total, most;
} histogram;
extern histogram delivery_times, ack_times;
uint64_t now_ns(void);
uint64_t wall_ms(void);
void note_time(histogram *, uint64_t ns);
double quantile_ms(const histogram *, double q);
double server_cpu(void);  /* seconds used by all threads of --pid */
double server_rss(void);  /* MiB */
double own_cpu(void);
uint64_t server_fsyncs(void); /* of fsyncs.so, through --fsyncs */

/* transport.c */
void transport_start(void);
void dial(conn *);
void pump(int64_t ns);
void flush_out(conn *);
void kill_conn(conn *, const char *why);
void put(conn *, const void *data, int size);
void putf(conn *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void keep_input(conn *, const char *data, int size);
void drop_input(conn *, int size);

/* traffic.c */
void traffic_start(void);
void expect(conn *, const char *text);
void expect_bytes(conn *, const void *data, int size);
void ready(conn *);
void joined(conn *);
void refused(conn *, const char *what, int size);
void feed(conn *, char *data, int size, uint64_t when);
int scan(conn *, const char *data, int size, uint64_t when);
void acknowledged(conn *, uint32_t sequence, uint64_t when);
void emit(conn *, uint64_t due);

/* adapters */
extern const adapter irc, xmpp, mqtt, nats, redis, matrix, lair;

#endif
