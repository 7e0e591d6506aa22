/* Adapter of the Matrix client-server API: one long-polling connection per member, a second one
 * per sender to send on. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No presence, no ephemeral events, members on demand. */
#define FILTER                                                                                     \
    "%7B%22presence%22%3A%7B%22types%22%3A%5B%5D%7D%2C%22room%22%3A%7B%22timeline%22%3A%7B"        \
    "%22limit%22%3A100%7D%2C%22ephemeral%22%3A%7B%22types%22%3A%5B%5D%7D%2C%22state%22%3A%7B"      \
    "%22lazy_load_members%22%3Atrue%7D%7D%7D"

static void matrix_sync(conn *c, int timeout_ms)
{
    putf(c,
         "GET /_matrix/client/v3/sync?timeout=%d%s%s&filter=%s HTTP/1.1\r\n"
         "Host: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
         timeout_ms, c->since[0] ? "&since=" : "", c->since, FILTER, c->token);
}

static void matrix_open(conn *c)
{
    if (c->is_second) {
        ready(c);
        joined(c);
        return;
    }
    c->token = tokens[c->id % token_count];
    matrix_sync(c, 0);
}

static void matrix_join(conn *c)
{
    joined(c);
}

static void matrix_send(conn *s, const char *payload, int size)
{
    char body[4400];
    int n = snprintf(body, sizeof body, "{\"msgtype\":\"m.text\",\"body\":\"%.*s\"}", size, payload);
    putf(s->second,
         "PUT /_matrix/client/v3/rooms/%s/send/m.room.message/t%d.%d.%u HTTP/1.1\r\n"
         "Host: localhost\r\nAuthorization: Bearer %s\r\n"
         "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n",
         room_ids[s->room % room_id_count], (int)getpid(), s->id, s->sequence,
         tokens[s->id % token_count], n);
    put(s->second, body, n);
}

/* Join the chunks of a body; returns its size, or -1 when it is not whole; *used is what it took. */
static int unchunk(const char *body, const char *end, char *into, int room, int *used)
{
    int size = 0;
    const char *at = body;
    while (at < end) {
        char *line_end = memmem(at, end - at, "\r\n", 2);
        if (!line_end)
            return -1;
        long chunk = strtol(at, NULL, 16);
        if (end - (line_end + 2) < chunk + 2)
            return -1;
        if (chunk == 0) {
            *used = line_end + 4 - body;
            return size;
        }
        if (size + chunk < room) {
            memcpy(into + size, line_end + 2, chunk);
            size += chunk;
        }
        at = line_end + 2 + chunk + 2;
    }
    return -1;
}

static void synced(conn *c, const char *body, int size)
{
    static const char key[] = "\"next_batch\":\"";
    char *found = memmem(body, size, key, sizeof key - 1);
    if (found) {
        found += sizeof key - 1;
        char *end = memchr(found, '"', body + size - found);
        if (end && end - found < (int)sizeof c->since - 1) {
            memcpy(c->since, found, end - found);
            c->since[end - found] = 0;
        }
    }
    if (phase == RUNNING)
        scan(c, body, size, now_ns());
    ready(c);
    matrix_sync(c, 30000);
}

/* Take one answer from the input; false when none is whole. */
static bool matrix_answer(conn *c)
{
    static char joined_chunks[8 << 20];
    char *head_end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
    if (!head_end)
        return false;
    char *body = head_end + 4, *end = c->in + c->in_size;
    int size, used;

    *head_end = 0;
    char *length = strcasestr(c->in, "content-length:");
    bool chunked = strcasestr(c->in, "transfer-encoding: chunked") != NULL;
    int status = atoi(c->in + 9);
    long claimed = length ? atol(length + 15) : 0;
    *head_end = '\r';

    if (chunked) {
        size = unchunk(body, end, joined_chunks, sizeof joined_chunks, &used);
        if (size < 0)
            return false;
        used += body - c->in;
        body = joined_chunks;
    } else {
        if (end - body < claimed)
            return false;
        size = claimed;
        used = body - c->in + size;
    }
    if (status != 200)
        refused(c, body, size);
    if (!c->is_second)
        synced(c, body, size);
    drop_input(c, used);
    return c->in_size > 0;
}

static void matrix_receive(conn *c, const char *data, int size)
{
    keep_input(c, data, size);
    while (matrix_answer(c))
        ;
}

const adapter matrix = {
    .name = "matrix",
    .self_echo = true,
    .sends_apart = true,
    .open = matrix_open,
    .join = matrix_join,
    .send = matrix_send,
    .receive = matrix_receive,
};
