/* Sockets, TLS, buffers, the event loop. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 262144
#define READS_PER_EVENT 16

int ready_count, joined_count, dead_count, pending_count;

static int poll_fd;
static SSL_CTX *context;
static char read_room[64 + READ_SIZE]; /* 64 in front for the tail of the chunk before */

void transport_start(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (!opt.idle) {
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, 65536);
    }
    poll_fd = epoll_create1(0);
}

/* ---- buffers */

static void grow(char **buffer, int *room, int needed)
{
    if (needed <= *room)
        return;
    *room = needed * 2;
    *buffer = realloc(*buffer, *room);
    if (!*buffer) {
        perror("realloc");
        exit(2);
    }
}

void put(conn *c, const void *data, int size)
{
    grow(&c->out, &c->out_room, c->out_size + size);
    memcpy(c->out + c->out_size, data, size);
    c->out_size += size;
}

void putf(conn *c, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(c, text, n);
}

void keep_input(conn *c, const char *data, int size)
{
    grow(&c->in, &c->in_room, c->in_size + size + 1);
    memcpy(c->in + c->in_size, data, size);
    c->in_size += size;
    c->in[c->in_size] = 0; /* for the string functions */
}

void drop_input(conn *c, int size)
{
    memmove(c->in, c->in + size, c->in_size - size);
    c->in_size -= size;
}

/* ---- writing */

void kill_conn(conn *c, const char *why)
{
    if (c->state == DEAD)
        return;
    if (opt.verbose || dead_count < 3)
        fprintf(stderr, "[conn %d dead: %s, stage %d]\n", c->id, why, c->stage);
    if (!c->is_ready)
        pending_count--;
    c->state = DEAD;
    dead_count++;
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
}

static void want_write(conn *c, bool wanted)
{
    if (c->wants_write == wanted)
        return;
    c->wants_write = wanted;
    struct epoll_event e = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

/* Returns the bytes written, 0 when the socket is full, -1 when the connection is dead. */
static int write_some(conn *c, const char *data, int size)
{
    if (!c->ssl) {
        int n = write(c->fd, data, size);
        if (n > 0 || errno == EAGAIN)
            return n > 0 ? n : 0;
        kill_conn(c, "write");
        return -1;
    }
    int n = SSL_write(c->ssl, data, size);
    if (n > 0)
        return n;
    int error = SSL_get_error(c->ssl, n);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
        return 0;
    kill_conn(c, "SSL_write");
    return -1;
}

void flush_out(conn *c)
{
    while (c->out_done < c->out_size) {
        int n = write_some(c, c->out + c->out_done, c->out_size - c->out_done);
        if (n == 0)
            want_write(c, true);
        if (n <= 0)
            return;
        c->out_done += n;
    }
    c->out_done = c->out_size = 0;
    want_write(c, false);
}

/* ---- reading */

/* Returns the bytes read, 0 when there are no more, -1 when the connection is dead. */
static int read_some(conn *c)
{
    if (!c->ssl) {
        int n = read(c->fd, read_room + 64, READ_SIZE);
        if (n > 0)
            return n;
        if (n < 0 && errno == EAGAIN)
            return 0;
        kill_conn(c, n == 0 ? "end of stream" : "read");
        return -1;
    }
    int n = SSL_read(c->ssl, read_room + 64, READ_SIZE);
    if (n > 0)
        return n;
    int error = SSL_get_error(c->ssl, n);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    kill_conn(c, "end of stream");
    return -1;
}

static void read_all(conn *c)
{
    for (int i = 0; i < READS_PER_EVENT && c->state == UP; i++) {
        int n = read_some(c);
        if (n <= 0)
            return;
        feed(c, read_room + 64, n, now_ns());
        if (c->state != UP)
            return;
        if (opt.quick_ack && i == 0) {
            int one = 1;
            setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        }
        if (!c->ssl && n < READ_SIZE)
            return;
        /* What OpenSSL holds already wakes nobody. */
        if (c->ssl && i == READS_PER_EVENT - 1 && SSL_pending(c->ssl))
            i = 0;
    }
}

/* ---- connecting */

static void start_tls(conn *c)
{
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    if (proto->alpn) {
        unsigned char name[64];
        name[0] = strlen(proto->alpn);
        memcpy(name + 1, proto->alpn, name[0]);
        SSL_set_alpn_protos(c->ssl, name, name[0] + 1);
    }
    c->state = HANDSHAKE;
}

static void up(conn *c)
{
    c->state = UP;
    want_write(c, false);
    proto->open(c);
    flush_out(c);
}

/* Each of these returns whether the connection has gone on to the next state. */

static bool connected(conn *c, uint32_t events)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        kill_conn(c, strerror(error));
        return false;
    }
    if (!(events & EPOLLOUT))
        return false;
    if (!opt.tls) {
        up(c);
    } else if (proto->pre_tls) {
        want_write(c, false);
        c->state = PRE_TLS;
        return false;
    } else {
        start_tls(c);
    }
    return true;
}

static bool pre_tls_seen(conn *c)
{
    char text[8192];
    int n = read(c->fd, text, sizeof text);
    if (n == 0)
        kill_conn(c, "end of stream before TLS");
    if (n <= 0 || !memmem(text, n, proto->pre_tls, strlen(proto->pre_tls)))
        return false;
    start_tls(c);
    return true;
}

static bool hands_shaken(conn *c)
{
    int r = SSL_do_handshake(c->ssl);
    if (r == 1) {
        up(c);
        return true;
    }
    int error = SSL_get_error(c->ssl, r);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        want_write(c, error == SSL_ERROR_WANT_WRITE);
        return false;
    }
    if (dead_count < 2)
        ERR_print_errors_fp(stderr);
    ERR_clear_error();
    kill_conn(c, "TLS handshake");
    return false;
}

static void on_event(conn *c, uint32_t events)
{
    if (c->state == CONNECTING && !connected(c, events))
        return;
    if (c->state == PRE_TLS && !pre_tls_seen(c))
        return;
    if (c->state == HANDSHAKE && !hands_shaken(c))
        return;
    if (c->state != UP)
        return;
    if ((events & EPOLLOUT) && c->out_size)
        flush_out(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_all(c);
}

void dial(conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    char address[32];
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        perror("socket");
        exit(2);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* Many source addresses: one has 28,000 ports. */
    snprintf(address, sizeof address, "127.0.1.%d", 1 + c->id % opt.sources);
    inet_pton(AF_INET, address, &from.sin_addr);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0) {
        perror("bind");
        exit(2);
    }
    inet_pton(AF_INET, opt.host, &to.sin_addr);
    c->state = CONNECTING;
    c->wants_write = true;
    pending_count++;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        kill_conn(c, "connect");
}

void pump(int64_t ns)
{
    struct epoll_event events[512];
    struct timespec most = {ns / 1000000000, ns % 1000000000};
    int n = epoll_pwait2(poll_fd, events, 512, &most, NULL);
    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
}
