/* Adapters of line and packet protocols: IRC, XMPP, MQTT, NATS, Redis. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <openssl/evp.h>
#include <string.h>

static void ready_then_joined(conn *c)
{
    if (!c->is_ready)
        ready(c);
    else
        joined(c);
}

/* ---- IRC (ngircd, InspIRCd) */

static void irc_open(conn *c)
{
    putf(c, "PASS %s\r\nNICK u%d\r\nUSER u%d 0 * :u\r\n", opt.password, c->id, c->id);
    expect(c, " 001 ");
}

static void irc_join(conn *c)
{
    putf(c, "JOIN #r%d\r\n", c->room);
    expect(c, " 366 ");
}

static void irc_send(conn *c, const char *payload, int size)
{
    putf(c, "PRIVMSG #r%d :", c->room);
    put(c, payload, size);
    put(c, "\r\n", 2);
}

const adapter irc = {
    .name = "irc",
    .open = irc_open,
    .step = ready_then_joined,
    .join = irc_join,
    .send = irc_send,
};

/* ---- XMPP with multi-user chat, over direct TLS (Prosody, ejabberd) */

static void xmpp_stream(conn *c)
{
    putf(c,
         "<?xml version='1.0'?><stream:stream to='%s' xmlns='jabber:client'"
         " xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
         opt.domain);
    expect(c, "</stream:features>");
}

static void xmpp_authenticate(conn *c)
{
    char plain[128], coded[256];
    int n = snprintf(plain, sizeof plain, "%cu%d%c%s", 0, c->id, 0, opt.password);
    EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)plain, n);
    putf(c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", coded);
    expect(c, "<success");
}

static void xmpp_step(conn *c)
{
    switch (c->stage++) {
    case 0:
        xmpp_authenticate(c);
        break;
    case 1:
        xmpp_stream(c);
        break;
    case 2:
        putf(c, "<iq type='set' id='bnd1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                "<resource>r</resource></bind></iq>");
        expect(c, "bnd1");
        break;
    case 3:
        putf(c, "<presence/><iq type='get' id='png1' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>", opt.domain);
        expect(c, "png1");
        break;
    default:
        ready_then_joined(c);
    }
}

static void xmpp_join(conn *c)
{
    putf(c,
         "<presence to='r%d@conference.%s/u%d'><x xmlns='http://jabber.org/protocol/muc'>"
         "<history maxstanzas='0'/></x></presence>",
         c->room, opt.domain, c->id);
    expect(c, "<subject");
}

static void xmpp_send(conn *c, const char *payload, int size)
{
    putf(c, "<message to='r%d@conference.%s' type='groupchat' id='m%u'><body>", c->room, opt.domain, c->sequence);
    put(c, payload, size);
    put(c, "</body></message>", 17);
}

const adapter xmpp = {
    .name = "xmpp",
    .self_echo = true,
    .open = xmpp_stream,
    .step = xmpp_step,
    .join = xmpp_join,
    .send = xmpp_send,
};

/* ---- MQTT 3.1.1 (Mosquitto) */

static char *mqtt_text(char *at, const char *text)
{
    int n = strlen(text);
    *at++ = n >> 8;
    *at++ = n;
    memcpy(at, text, n);
    return at + n;
}

static void mqtt_packet(conn *c, int type, const char *body, int size)
{
    char head[8];
    int n = 0, left = size;
    head[n++] = type;
    do {
        head[n] = left & 127;
        left >>= 7;
        head[n++] |= left ? 128 : 0;
    } while (left);
    put(c, head, n);
    put(c, body, size);
}

static void mqtt_open(conn *c)
{
    char body[256], id[32], *at = mqtt_text(body, "MQTT");
    static const char flags[] = {4, (char)0xC2, 0, 0}; /* version, user and password, no keep-alive */
    memcpy(at, flags, sizeof flags);
    at += sizeof flags;
    snprintf(id, sizeof id, "c%d", c->id);
    at = mqtt_text(at, id);
    at = mqtt_text(at, opt.user);
    at = mqtt_text(at, opt.password);
    mqtt_packet(c, 0x10, body, at - body);
    expect_bytes(c, "\x20\x02\x00\x00", 4);
}

static void mqtt_join(conn *c)
{
    char body[64] = {0, 1}, topic[32];
    snprintf(topic, sizeof topic, "r/%d", c->room);
    char *at = mqtt_text(body + 2, topic);
    *at++ = opt.qos;
    mqtt_packet(c, 0x82, body, at - body);
    expect_bytes(c, "\x90\x03\x00\x01", 4);
}

static void mqtt_send(conn *c, const char *payload, int size)
{
    char body[4400], topic[32];
    snprintf(topic, sizeof topic, "r/%d", c->room);
    char *at = mqtt_text(body, topic);
    if (opt.qos) {
        int id = 1 + c->sequence % 65535;
        *at++ = id >> 8;
        *at++ = id;
    }
    memcpy(at, payload, size);
    mqtt_packet(c, 0x30 | opt.qos << 1, body, at + size - body);
}

const adapter mqtt = {
    .name = "mqtt",
    .self_echo = true,
    .open = mqtt_open,
    .step = ready_then_joined,
    .join = mqtt_join,
    .send = mqtt_send,
};

/* ---- NATS core */

static void nats_open(conn *c)
{
    putf(c,
         "CONNECT {\"verbose\":false,\"pedantic\":false,\"user\":\"%s\",\"pass\":\"%s\","
         "\"tls_required\":%s,\"lang\":\"c\",\"version\":\"1\"}\r\nPING\r\n",
         opt.user, opt.password, opt.tls ? "true" : "false");
    expect(c, "PONG\r\n");
}

static void nats_join(conn *c)
{
    putf(c, "SUB room.%d 1\r\nPING\r\n", c->room);
    expect(c, "PONG\r\n");
}

static void nats_send(conn *c, const char *payload, int size)
{
    putf(c, "PUB room.%d %d\r\n", c->room, size);
    put(c, payload, size);
    put(c, "\r\n", 2);
}

const adapter nats = {
    .name = "nats",
    .self_echo = true,
    .pre_tls = "\r\n",
    .open = nats_open,
    .step = ready_then_joined,
    .join = nats_join,
    .send = nats_send,
};

/* ---- Redis, RESP3, so that a subscriber may publish */

static void redis_open(conn *c)
{
    putf(c, "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$%d\r\n%s\r\n",
         (int)strlen(opt.password), opt.password);
    expect(c, "modules\r\n*0\r\n");
}

static void redis_join(conn *c)
{
    char channel[32];
    int n = snprintf(channel, sizeof channel, "r%d", c->room);
    putf(c, "*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%s\r\n", n, channel);
    expect(c, ":1\r\n");
}

static void redis_send(conn *c, const char *payload, int size)
{
    char channel[32];
    int n = snprintf(channel, sizeof channel, "r%d", c->room);
    putf(c, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n", n, channel, size);
    put(c, payload, size);
    put(c, "\r\n", 2);
}

const adapter redis = {
    .name = "redis",
    .self_echo = true,
    .open = redis_open,
    .step = ready_then_joined,
    .join = redis_join,
    .send = redis_send,
};
