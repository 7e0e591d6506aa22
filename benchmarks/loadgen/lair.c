/* Adapter of lair/1: msgpack maps behind four bytes of length (docs/protocol.rst).
 *
 * Each connection logs in by `session.resume` with a token from --tokens.  Rooms are named r0, r1...
 * and joined by name, or, with --roomids, are the server's numbers in that file: then everybody is a
 * member already.  A message counts when all other members have it and its sender the answer, which
 * comes after it is on disk.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Request ids: one for logging in, one for joining, then one per message. */
enum { RESUME_ID = 1, JOIN_ID = 2, FIRST_SEND_ID = 16 };

#define FRAME_MOST 65536
#define TOKEN_SIZE 48

/* ---- writing msgpack, each value in its shortest form, as the project's own client does */

typedef struct {
    unsigned char bytes[8192];
    int size;
} packer;

static void pack_byte(packer *p, unsigned byte)
{
    p->bytes[p->size++] = byte;
}

static void pack_big_endian(packer *p, uint64_t value, int width)
{
    while (width--)
        pack_byte(p, value >> 8 * width);
}

static void pack_map(packer *p, int pairs)
{
    pack_byte(p, 0x80 | pairs);
}

static void pack_raw(packer *p, const void *data, int size)
{
    memcpy(p->bytes + p->size, data, size);
    p->size += size;
}

static void pack_text_sized(packer *p, const char *text, int size)
{
    if (size < 32) {
        pack_byte(p, 0xa0 | size);
    } else if (size < 256) {
        pack_byte(p, 0xd9);
        pack_byte(p, size);
    } else {
        pack_byte(p, 0xda);
        pack_big_endian(p, size, 2);
    }
    pack_raw(p, text, size);
}

static void pack_text(packer *p, const char *text)
{
    pack_text_sized(p, text, strlen(text));
}

static void pack_bytes(packer *p, const void *data, int size)
{
    if (size < 256) {
        pack_byte(p, 0xc4);
        pack_byte(p, size);
    } else {
        pack_byte(p, 0xc5);
        pack_big_endian(p, size, 2);
    }
    pack_raw(p, data, size);
}

static void pack_number(packer *p, uint64_t value)
{
    if (value < 128) {
        pack_byte(p, value);
    } else {
        int width = value < 1u << 8 ? 1 : value < 1u << 16 ? 2 : value < 1ull << 32 ? 4 : 8;
        pack_byte(p, width == 1 ? 0xcc : width == 2 ? 0xcd : width == 4 ? 0xce : 0xcf);
        pack_big_endian(p, value, width);
    }
}

static void put_frame(conn *c, const packer *p)
{
    unsigned char length[4] = {p->size >> 24, p->size >> 16, p->size >> 8, p->size};
    put(c, length, sizeof length);
    put(c, p->bytes, p->size);
}

/* Begin a command; what follows is its arguments, as a map. */
static void pack_command(packer *p, uint32_t id, const char *name, bool keyed)
{
    pack_map(p, keyed ? 5 : 4);
    pack_text(p, "t");
    pack_text(p, "cmd");
    pack_text(p, "id");
    pack_number(p, id);
    pack_text(p, "do");
    pack_text(p, name);
    pack_text(p, "args");
}

/* ---- reading msgpack: what a frame holds, by key; a value that is cut off ends all */

typedef struct {
    const unsigned char *at, *end;
} reader;

static bool take(reader *r, uint64_t size)
{
    if (size > (uint64_t)(r->end - r->at))
        return false;
    r->at += size;
    return true;
}

static bool read_big_endian(reader *r, int width, uint64_t *value)
{
    const unsigned char *from = r->at;
    if (!take(r, width))
        return false;
    *value = 0;
    while (width--)
        *value = *value << 8 | *from++;
    return true;
}

/* Read a value's first byte and what stands in it or right behind it: a number, size or count. */
static bool read_head(reader *r, unsigned *kind, uint64_t *value)
{
    const unsigned char *from = r->at;
    if (!take(r, 1))
        return false;
    unsigned first = *from;
    *kind = first;
    if (first < 0x80) {
        *value = first;
        *kind = 0xcf;
    } else if (first < 0x90) {
        *value = first & 0x0f;
        *kind = 0xdf;
    } else if (first < 0xa0) {
        *value = first & 0x0f;
        *kind = 0xdd;
    } else if (first < 0xc0) {
        *value = first & 0x1f;
        *kind = 0xdb;
    } else if (first >= 0xc4 && first <= 0xc6) {
        *kind = 0xc6;
        return read_big_endian(r, 1 << (first - 0xc4), value);
    } else if (first >= 0xcc && first <= 0xcf) {
        *kind = 0xcf;
        return read_big_endian(r, 1 << (first - 0xcc), value);
    } else if (first >= 0xd9 && first <= 0xdb) {
        *kind = 0xdb;
        return read_big_endian(r, 1 << (first - 0xd9), value);
    } else if (first == 0xdc || first == 0xdd) {
        *kind = 0xdd;
        return read_big_endian(r, first == 0xdc ? 2 : 4, value);
    } else if (first == 0xde || first == 0xdf) {
        *kind = 0xdf;
        return read_big_endian(r, first == 0xde ? 2 : 4, value);
    } else if (first == 0xca || first == 0xcb) {
        return read_big_endian(r, first == 0xca ? 4 : 8, value);
    } else if (first >= 0xd0 && first <= 0xd3) {
        return read_big_endian(r, 1 << (first - 0xd0), value);
    }
    return true;
}

enum { TEXT = 0xdb, BYTES = 0xc6, NUMBER = 0xcf, ARRAY = 0xdd, MAP = 0xdf };

static bool skip(reader *r)
{
    uint64_t values = 1;
    while (values--) {
        unsigned kind;
        uint64_t n;
        if (!read_head(r, &kind, &n))
            return false;
        if ((kind == TEXT || kind == BYTES) && !take(r, n))
            return false;
        if (kind == ARRAY)
            values += n;
        if (kind == MAP)
            values += 2 * n;
    }
    return true;
}

/* Find the value under a key of the map that starts here. */
static bool find(reader map, const char *key, reader *value)
{
    unsigned kind;
    uint64_t pairs, size;
    if (!read_head(&map, &kind, &pairs) || kind != MAP)
        return false;
    while (pairs--) {
        if (!read_head(&map, &kind, &size) || kind != TEXT)
            return false;
        const char *name = (const char *)map.at;
        if (!take(&map, size))
            return false;
        if (size == strlen(key) && !memcmp(name, key, size)) {
            *value = map;
            return true;
        }
        if (!skip(&map))
            return false;
    }
    return false;
}

static uint64_t find_number(reader map, const char *key)
{
    reader value;
    unsigned kind;
    uint64_t number;
    if (find(map, key, &value) && read_head(&value, &kind, &number) && kind == NUMBER)
        return number;
    return 0;
}

static bool find_text(reader map, const char *key, reader *text)
{
    unsigned kind;
    uint64_t size;
    if (!find(map, key, text) || !read_head(text, &kind, &size) || kind != TEXT)
        return false;
    const unsigned char *start = text->at;
    if (!take(text, size))
        return false;
    text->end = text->at;
    text->at = start;
    return true;
}

static bool is(reader text, const char *word)
{
    size_t size = text.end - text.at;
    return size == strlen(word) && !memcmp(text.at, word, size);
}

/* ---- keys: 48 bits of time, 80 of chance */

static uint64_t random_state;

static uint64_t random64(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void pack_key(packer *p)
{
    pack_text(p, "key");
    pack_byte(p, 0xc4);
    pack_byte(p, 16);
    pack_big_endian(p, wall_ms(), 6);
    pack_big_endian(p, random64(), 2);
    pack_big_endian(p, random64(), 8);
}

/* ---- the session */

static void lair_open(conn *c)
{
    packer p = {.size = 0};
    while (!random_state)
        if (getrandom(&random_state, sizeof random_state, 0) < 0 && errno != EINTR)
            random_state = now_ns();
    pack_map(&p, 3);
    pack_text(&p, "t");
    pack_text(&p, "hello");
    pack_text(&p, "versions");
    pack_byte(&p, 0x91);
    pack_number(&p, 1);
    pack_text(&p, "client");
    pack_text(&p, "loadgen");
    put_frame(c, &p);
}

static void resume(conn *c)
{
    packer p = {.size = 0};
    unsigned char token[TOKEN_SIZE];
    int line = opt.token_base + c->id;
    if (line >= token_count || strlen(tokens[line]) != 2 * TOKEN_SIZE) {
        fprintf(stderr, "--tokens has no token of %d bytes in line %d\n", TOKEN_SIZE, line + 1);
        exit(2);
    }
    for (int i = 0; i < TOKEN_SIZE; i++)
        sscanf(tokens[line] + 2 * i, "%2hhx", &token[i]);
    pack_command(&p, RESUME_ID, "session.resume", false);
    pack_map(&p, 1);
    pack_text(&p, "token");
    pack_bytes(&p, token, TOKEN_SIZE);
    put_frame(c, &p);
}

static void lair_join(conn *c)
{
    packer p = {.size = 0};
    char name[32];
    if (room_ids) {
        c->room_number = strtoull(room_ids[c->room % room_id_count], NULL, 10);
        joined(c);
        return;
    }
    snprintf(name, sizeof name, "r%d", c->room);
    pack_command(&p, JOIN_ID, "room.join", false);
    pack_map(&p, 1);
    pack_text(&p, "name");
    pack_text(&p, name);
    put_frame(c, &p);
}

static void lair_send(conn *c, const char *payload, int size)
{
    packer body = {.size = 0}, p = {.size = 0};
    pack_map(&body, 2);
    pack_text(&body, "type");
    pack_text(&body, "text");
    pack_text(&body, "text");
    pack_text_sized(&body, payload, size);
    pack_command(&p, FIRST_SEND_ID + c->sequence, "message.send", true);
    pack_map(&p, 2);
    pack_text(&p, "room");
    pack_number(&p, c->room_number);
    pack_text(&p, "body");
    pack_bytes(&p, body.bytes, body.size);
    pack_key(&p);
    put_frame(c, &p);
}

static void pong(conn *c, uint64_t n)
{
    packer p = {.size = 0};
    pack_map(&p, 2);
    pack_text(&p, "t");
    pack_text(&p, "pong");
    pack_text(&p, "n");
    pack_number(&p, n);
    put_frame(c, &p);
}

static void on_ok(conn *c, reader frame, uint64_t when)
{
    reader body;
    uint64_t id = find_number(frame, "id");
    if (id >= FIRST_SEND_ID) {
        acknowledged(c, id - FIRST_SEND_ID, when);
    } else if (id == RESUME_ID) {
        ready(c);
    } else if (id == JOIN_ID && find(frame, "body", &body)) {
        c->room_number = find_number(body, "room");
        joined(c);
    }
}

/* Whatever is not a message; messages are recognised by their first bytes. */
static void on_frame(conn *c, reader frame, uint64_t when)
{
    const char *text = (const char *)frame.at;
    int size = frame.end - frame.at;
    reader kind, name;
    if (!find_text(frame, "t", &kind)) {
        refused(c, text, size);
    } else if (is(kind, "ok")) {
        on_ok(c, frame, when);
    } else if (is(kind, "event")) {
        /* A gap: the server has left out messages because this connection did not keep up. */
        if (find_text(frame, "name", &name) && is(name, "gap"))
            refused(c, text, size);
        else
            scan(c, text, size, when);
    } else if (is(kind, "hello")) {
        resume(c);
    } else if (is(kind, "ping")) {
        pong(c, find_number(frame, "n"));
    } else {
        refused(c, text, size); /* error, bye, or what this does not know */
    }
}

/* How the frames of messages start: {"t": "event", "name": "message", "body": ... */
static const char message_start[] = "\x83\xa1t\xa5"
                                    "event\xa4name\xa7message\xa4"
                                    "body";

/* Handle the whole frames at the start of some bytes; returns how many bytes they were. */
static int take_frames(conn *c, const unsigned char *data, int size, uint64_t when)
{
    int at = 0;
    while (size - at >= 4 && c->state == UP) {
        const unsigned char *start = data + at;
        uint32_t length = (uint32_t)start[0] << 24 | start[1] << 16 | start[2] << 8 | start[3];
        if (length > FRAME_MOST) {
            kill_conn(c, "a frame claims too much");
            break;
        }
        if (length > (uint32_t)(size - at - 4))
            break;
        start += 4;
        if (length > sizeof message_start && !memcmp(start, message_start, sizeof message_start - 1))
            scan(c, (const char *)start, length, when);
        else
            on_frame(c, (reader){start, start + length}, when);
        at += 4 + length;
    }
    return at;
}

static void lair_receive(conn *c, const char *data, int size)
{
    uint64_t when = last_input;
    if (c->in_size) {
        keep_input(c, data, size);
        drop_input(c, take_frames(c, (unsigned char *)c->in, c->in_size, when));
    } else {
        int used = take_frames(c, (const unsigned char *)data, size, when);
        if (used < size)
            keep_input(c, data + used, size - used);
    }
}

const adapter lair = {
    .name = "lair",
    .acknowledges = true,
    .alpn = "lair/1",
    .open = lair_open,
    .join = lair_join,
    .send = lair_send,
    .receive = lair_receive,
};
