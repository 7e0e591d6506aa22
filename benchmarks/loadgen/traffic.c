/* Messages sent, copies received, acknowledgements.
 *
 * A payload is "@LG", 16 hex digits of the time at which it was due (ns, CLOCK_MONOTONIC), 6 of the
 * sender's number, 8 of the message's, ".", and filler up to --size.  A receiver looks for "@LG" in
 * the bytes, so a server may wrap it as it likes as long as it does not encode it again.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <stdlib.h>
#include <string.h>

#define MARKER_SIZE 33 /* all up to the dot */

counters count;
uint64_t last_input;
int refused_count;

static signed char hex_values[256];
static char filler[4096];

void traffic_start(void)
{
    for (int i = 0; i < 10; i++)
        hex_values['0' + i] = i;
    for (int i = 0; i < 6; i++)
        hex_values['a' + i] = 10 + i;
    for (int i = 0; i < (int)sizeof filler; i++)
        filler[i] = 'a' + i % 26;
}

static uint64_t hex(const char *digits, int n)
{
    uint64_t value = 0;
    while (n--)
        value = value << 4 | (hex_values[(unsigned char)*digits++] & 15);
    return value;
}

/* ---- sending */

void emit(conn *s, uint64_t due)
{
    char payload[4200];
    int slot = s->sequence % RING;
    int size = sprintf(payload, "@LG%016llx%06x%08x.", (unsigned long long)due, s->id, s->sequence);
    if (opt.size > size) {
        memcpy(payload + size, filler, opt.size - size);
        size = opt.size;
    }
    if (s->missing[slot])
        count.overrun++;
    s->missing[slot] = opt.per_room - (proto->self_echo ? 0 : 1) + (proto->acknowledges ? 1 : 0);
    s->sent_at[slot] = due;
    s->in_flight++;
    count.sent++;
    proto->send(s, payload, size);
    s->sequence++;
    conn *c = s->second ? s->second : s;
    if (c->state == UP)
        flush_out(c);
}

/* ---- receiving */

/* One copy less is missing; with none left the message is done, and in a closed loop the next goes. */
static void one_less(conn *s, uint32_t sequence)
{
    uint16_t *missing = &s->missing[sequence % RING];
    if (*missing == 0 || --*missing > 0)
        return;
    count.done++;
    s->in_flight--;
    if (opt.rate == 0 && phase == RUNNING)
        emit(s, now_ns());
}

static void delivered(conn *c, const char *marker, uint64_t when)
{
    uint64_t due = hex(marker + 3, 16);
    uint32_t sender = hex(marker + 19, 6), sequence = hex(marker + 25, 8);
    if (sender >= (uint32_t)member_count || !conns[sender].missing || conns[sender].room != c->room) {
        count.stray++;
        return;
    }
    count.copies++;
    if ((int)sender != c->id && measuring)
        note_time(&delivery_times, when > due ? when - due : 0);
    one_less(&conns[sender], sequence);
}

/* Count the payloads in some bytes; returns how many at the end may be the start of one. */
int scan(conn *c, const char *data, int size, uint64_t when)
{
    const char *at = data, *end = data + size;
    while (at < end && (at = memchr(at, '@', end - at))) {
        int left = end - at;
        if (left < MARKER_SIZE) {
            if (left < 3 || !memcmp(at, "@LG", 3))
                return left;
            at++;
        } else if (at[1] == 'L' && at[2] == 'G') {
            delivered(c, at, when);
            at += MARKER_SIZE;
        } else {
            at++;
        }
    }
    return 0;
}

void acknowledged(conn *s, uint32_t sequence, uint64_t when)
{
    uint64_t due = s->sent_at[sequence % RING];
    count.acks++;
    if (measuring)
        note_time(&ack_times, when > due ? when - due : 0);
    one_less(s, sequence);
}

void refused(conn *c, const char *what, int size)
{
    if (refused_count++ >= 5)
        return;
    fprintf(stderr, "[conn %d refused: ", c->id);
    for (int i = 0; i < size && i < 300; i++)
        fputc(what[i] >= ' ' && what[i] <= '~' ? what[i] : '.', stderr);
    fputs("]\n", stderr);
}

/* ---- logging in by expected texts */

void expect_bytes(conn *c, const void *data, int size)
{
    c->expected_size = size;
    memcpy(c->expected, data, size);
}

void expect(conn *c, const char *text)
{
    expect_bytes(c, text, strlen(text));
}

void ready(conn *c)
{
    if (!c->is_ready) {
        c->is_ready = true;
        ready_count++;
        pending_count--;
    }
    c->expected_size = 0;
}

void joined(conn *c)
{
    if (!c->is_joined) {
        c->is_joined = true;
        joined_count++;
    }
    c->expected_size = 0;
}

static void feed_expected(conn *c, const char *data, int size)
{
    if (opt.verbose > 1 && c->id == 0)
        fprintf(stderr, "%.*s\n", size, data);
    if (!c->expected_size) {
        c->in_size = 0;
        return;
    }
    keep_input(c, data, size);
    while (c->expected_size) {
        char *found = memmem(c->in, c->in_size, c->expected, c->expected_size);
        if (!found) {
            if (c->in_size > 8192)
                drop_input(c, c->in_size - c->expected_size);
            return;
        }
        drop_input(c, found - c->in + c->expected_size);
        c->expected_size = 0;
        proto->step(c);
        if (c->state == UP)
            flush_out(c);
        if (c->state == DEAD)
            return;
    }
    c->in_size = 0;
}

/* Take what a connection has read; there is room for its tail in front of the data. */
void feed(conn *c, char *data, int size, uint64_t when)
{
    count.received_bytes += size;
    last_input = when;
    if (proto->receive) {
        proto->receive(c, data, size);
        if (c->state == UP && c->out_size)
            flush_out(c);
        return;
    }
    if (phase < RUNNING) {
        feed_expected(c, data, size);
        return;
    }
    if (c->tail_size) {
        data -= c->tail_size;
        size += c->tail_size;
        memcpy(data, c->tail, c->tail_size);
    }
    c->tail_size = scan(c, data, size, when);
    memmove(c->tail, data + size - c->tail_size, c->tail_size);
}
