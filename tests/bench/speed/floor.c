/* What no client can do without: waiting for sockets, reading them, and telling one frame from the next. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

/* Finds whole frames in a buffer: start and end of each payload into spans; the answer is how many, and how many bytes
   they took. Frames of a server are not masked; those that are not text are left out. */
long split(const uint8_t *data, long size, int64_t *spans, long room, int64_t *used)
{
    long count = 0, at = 0;
    while (count < room && size - at >= 2) {
        uint64_t length = data[at + 1] & 127;
        long head = 2;
        if (length == 126) {
            head = 4;
            if (size - at < head)
                break;
            length = ((uint64_t)data[at + 2] << 8) | data[at + 3];
        } else if (length == 127) {
            head = 10;
            if (size - at < head)
                break;
            length = 0;
            for (int place = 2; place < 10; place++)
                length = (length << 8) | data[at + place];
        }
        if ((uint64_t)(size - at - head) < length)
            break;
        if ((data[at] & 15) == 1) {
            spans[2 * count] = at + head;
            spans[2 * count + 1] = at + head + (long)length;
            count++;
        }
        at += head + (long)length;
    }
    *used = at;
    return count;
}

enum { CAPACITY = 1 << 18, ROOM = 4096, EVENTS = 64 };

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Receives from non-blocking sockets for so long and counts messages; one read at each time a socket is ready. */
int64_t receive(const int32_t *sockets, long count, double seconds)
{
    static int64_t spans[2 * ROOM];
    uint8_t **buffers = calloc((size_t)count, sizeof *buffers);
    long *filled = calloc((size_t)count, sizeof *filled);
    int poll = epoll_create1(0);
    int64_t messages = 0, end = now_ns() + (int64_t)(seconds * 1e9);
    for (long place = 0; place < count; place++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)place};
        buffers[place] = malloc(CAPACITY);
        epoll_ctl(poll, EPOLL_CTL_ADD, sockets[place], &event);
    }
    for (int64_t now = now_ns(); now < end; now = now_ns()) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll, events, EVENTS, (int)((end - now) / 1000000) + 1);
        for (int turn = 0; turn < ready; turn++) {
            long place = (long)events[turn].data.u64;
            uint8_t *buffer = buffers[place];
            ssize_t got = recv(sockets[place], buffer + filled[place], (size_t)(CAPACITY - filled[place]), 0);
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
            if (got <= 0) {
                messages = -1;
                goto over;
            }
            int64_t used;
            filled[place] += got;
            messages += split(buffer, filled[place], spans, ROOM, &used);
            filled[place] -= used;
            memmove(buffer, buffer + used, (size_t)filled[place]);
        }
    }
over:
    for (long place = 0; place < count; place++)
        free(buffers[place]);
    free(buffers);
    free(filled);
    return messages;
}
