#include "config.h"

#include "ctl/daemon.h"

#include <curl/curl.h>
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ctl/text.h"

/* No answer of the daemon is larger than this; a stream has no such limit. */
#define ANSWER_MAX ((size_t)256 << 20)
#define LINE_MAX_OCTETS ((size_t)1 << 20)

/* The daemon sends a follower an octet every 15 s at least; silence four times as long is its end.
 */
#define SILENCE_SECONDS 60

struct octets {
    char *text; /* ends in NUL */
    size_t length;
};

/* The group that may open the socket, for the advice; the caller frees. */
static char *socket_group(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || !(status.st_mode & S_IWGRP))
        return NULL;
    struct group *group = getgrgid(status.st_gid);
    return group == NULL ? NULL : text_copy(group->gr_name);
}

static void complain_permission(const char *path)
{
    char *group = socket_group(path);
    if (group != NULL && strcmp(group, "root") != 0)
        ctl_complain("%s: permission denied.\nOnly root and members of group \"%s\" may open it: "
                     "use sudo, or add yourself with: adduser %s %s",
                     path, group, getenv("USER") ? getenv("USER") : "NAME", group);
    else
        ctl_complain("%s: permission denied.\nUse sudo: only root may open it (the option "
                     "socket_group in bdat-milter.conf lets a group in).",
                     path);
    free(group);
}

/* Connects once more to learn what stands in the way, and says it. */
static void complain_unreachable(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        ctl_complain("%s: too long for the path of a socket", path);
        return;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
    int reason = failed == 0 ? 0 : errno;
    if (fd >= 0)
        close(fd);
    if (reason == EACCES)
        complain_permission(path);
    else if (reason == ENOENT || reason == ENOTDIR)
        ctl_complain("%s: no such socket.\nIs the daemon running? Try: systemctl start bdat-milter "
                     "(or name another socket with -s).",
                     path);
    else if (reason == ECONNREFUSED)
        ctl_complain("%s: nobody listens there; the daemon has gone.\n"
                     "Try: systemctl restart bdat-milter",
                     path);
    else
        ctl_complain("%s: cannot reach the daemon: %s", path,
                     reason == 0 ? "it closed the connection without an answer" : strerror(reason));
}

static void complain_transport(const struct ctl *ctl, CURLcode result)
{
    if (result == CURLE_OPERATION_TIMEDOUT)
        ctl_complain("%s: no answer within %ld s.\nThe daemon is busy or hangs; see its log "
                     "(journalctl -u bdat-milter), or wait longer with --timeout.",
                     ctl->socket, ctl->timeout_seconds);
    else if (result == CURLE_COULDNT_CONNECT)
        complain_unreachable(ctl->socket);
    else if (result == CURLE_GOT_NOTHING || result == CURLE_PARTIAL_FILE ||
             result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR)
        ctl_complain("%s: the daemon closed the connection before it had answered.\n"
                     "Try again; if it stays so, see its log (journalctl -u bdat-milter).",
                     ctl->socket);
    else
        ctl_complain("%s: this is no answer of bdat-milter (%s).\nDoes -s name its control "
                     "socket?",
                     ctl->socket, curl_easy_strerror(result));
}

static size_t gather(char *data, size_t size, size_t count, void *context)
{
    struct octets *octets = context;
    size_t length = size * count;
    if (length > ANSWER_MAX - octets->length)
        return 0;
    octets->text = text_resize(octets->text, octets->length + length + 1, 1);
    memcpy(octets->text + octets->length, data, length);
    octets->length += length;
    octets->text[octets->length] = '\0';
    return length;
}

/* A handle that asks `path` of the control socket. The URL's host is a mere form. */
static CURL *new_request(const struct ctl *ctl, const char *path)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        ctl_complain("libcurl cannot be used");
        exit(EXIT_NO);
    }
    char *url = text_format("http://localhost%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    free(url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, ctl->timeout_seconds);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    return curl;
}

/* The daemon said no: its own text says what to do. */
static enum exit_code refuse(long status, const struct octets *body)
{
    json_t *json = body->text == NULL ? NULL : json_loads(body->text, 0, NULL);
    const char *error = json_get_text(json, "error");
    if (status == 403)
        ctl_complain("not allowed: %s\nOnly root and the daemon's own user may change anything: "
                     "use sudo.",
                     *error != '\0' ? error : "the daemon refused");
    else if (*error != '\0')
        ctl_complain("%s", error);
    else
        ctl_complain("the daemon answered with HTTP status %ld and no explanation; is bdatctl of "
                     "the same version?",
                     status);
    json_decref(json);
    return EXIT_NO;
}

static enum exit_code parse(const struct ctl *ctl, const struct octets *body, json_t **answer)
{
    *answer = body->text == NULL ? NULL : json_loads(body->text, 0, NULL);
    if (json_is_object(*answer))
        return EXIT_DONE;
    json_decref(*answer);
    *answer = NULL;
    ctl_complain("%s: the answer is not JSON.\nDoes -s name the control socket of bdat-milter?",
                 ctl->socket);
    return EXIT_NO;
}

/* One request and its whole answer. */
static CURLcode perform(const struct ctl *ctl, const char *path, bool post, struct octets *body,
                        long *status)
{
    CURL *curl = new_request(ctl, path);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, ctl->timeout_seconds);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, gather);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    if (post)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    return result;
}

/* What is asked, and whether an answer "not found" will do. */
enum question { QUESTION_GET, QUESTION_FIND, QUESTION_POST };

static enum exit_code ask(const struct ctl *ctl, const char *path, enum question question,
                          json_t **answer)
{
    struct octets body = {0};
    long status = 0;
    CURLcode result = perform(ctl, path, question == QUESTION_POST, &body, &status);
    enum exit_code code = EXIT_NO;
    *answer = NULL;
    if (result != CURLE_OK) {
        complain_transport(ctl, result);
        code = EXIT_NOT_RUNNING;
    } else if (status == 404 && question == QUESTION_FIND) {
        code = EXIT_DONE;
    } else if (status != 200) {
        code = refuse(status, &body);
    } else {
        code = parse(ctl, &body, answer);
    }
    free(body.text);
    return code;
}

enum exit_code daemon_get(const struct ctl *ctl, const char *path, json_t **answer)
{
    return ask(ctl, path, QUESTION_GET, answer);
}

enum exit_code daemon_post(const struct ctl *ctl, const char *path, json_t **answer)
{
    return ask(ctl, path, QUESTION_POST, answer);
}

enum exit_code daemon_find(const struct ctl *ctl, const char *path, json_t **answer)
{
    return ask(ctl, path, QUESTION_FIND, answer);
}

/* Asks without a word about what goes wrong; gives the body of a 200 answer, or NULL. */
static char *ask_quietly(const struct ctl *ctl, const char *path)
{
    struct octets body = {0};
    long status = 0;
    if (perform(ctl, path, false, &body, &status) == CURLE_OK && status == 200)
        return body.text != NULL ? body.text : text_copy("");
    free(body.text);
    return NULL;
}

json_t *daemon_try(const struct ctl *ctl, const char *path)
{
    char *text = ask_quietly(ctl, path);
    json_t *answer = text == NULL ? NULL : json_loads(text, 0, NULL);
    free(text);
    return answer;
}

bool daemon_answers(const struct ctl *ctl)
{
    char *text = ask_quietly(ctl, "/healthy");
    bool answers = text != NULL;
    free(text);
    return answers;
}

struct stream {
    CURL *curl;
    struct octets pending; /* the begin of a line */
    struct octets refusal; /* the body of an answer that is not 200 */
    daemon_line_fn *consume;
    void *context;
    bool began, stopped;
    time_t heard; /* monotonic: when the last octet came */
};

/* Hands over the full lines in `pending` and keeps the rest. */
static bool hand_over_lines(struct stream *stream)
{
    char *line = stream->pending.text, *end;
    while ((end = memchr(line, '\n',
                         stream->pending.length - (size_t)(line - stream->pending.text))) != NULL) {
        *end = '\0';
        if (!stream->consume(stream->context, line))
            return false;
        line = end + 1;
    }
    size_t rest = stream->pending.length - (size_t)(line - stream->pending.text);
    memmove(stream->pending.text, line, rest + 1);
    stream->pending.length = rest;
    return rest <= LINE_MAX_OCTETS;
}

static time_t monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* libcurl calls this about once a second, whether anything comes or not. Anything but 0 ends it. */
static int watch_silence(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                         curl_off_t up)
{
    const struct stream *stream = context;
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    return monotonic_seconds() - stream->heard > SILENCE_SECONDS;
}

static size_t receive_stream(char *data, size_t size, size_t count, void *context)
{
    struct stream *stream = context;
    long status = 0;
    stream->heard = monotonic_seconds();
    curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return gather(data, size, count, &stream->refusal);
    stream->began = true;
    if (gather(data, size, count, &stream->pending) != size * count)
        return 0;
    stream->stopped = !hand_over_lines(stream);
    return stream->stopped ? 0 : size * count;
}

enum stream_end daemon_stream(const struct ctl *ctl, const char *path, daemon_line_fn *consume,
                              void *context, enum exit_code *code)
{
    struct stream stream = {.curl = new_request(ctl, path), .consume = consume, .context = context};
    long status = 0;
    stream.heard = monotonic_seconds();
    curl_easy_setopt(stream.curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(stream.curl, CURLOPT_XFERINFOFUNCTION, watch_silence);
    curl_easy_setopt(stream.curl, CURLOPT_XFERINFODATA, &stream);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEFUNCTION, receive_stream);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEDATA, &stream);
    CURLcode result = curl_easy_perform(stream.curl);
    curl_easy_getinfo(stream.curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(stream.curl);
    enum stream_end end = stream.stopped ? STREAM_STOPPED : STREAM_ENDED;
    if (status != 0 && status != 200) {
        *code = refuse(status, &stream.refusal);
        end = STREAM_FAILED;
    } else if (result != CURLE_OK && !stream.began && status != 200) {
        complain_transport(ctl, result);
        *code = EXIT_NOT_RUNNING;
        end = STREAM_FAILED;
    }
    free(stream.pending.text);
    free(stream.refusal.text);
    return end;
}

char *daemon_segment(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~:";
    char *encoded = text_resize(NULL, strlen(text) * 3 + 1, 1), *end = encoded;
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            *end++ = *text;
        else
            end += sprintf(end, "%%%02X", (unsigned char)*text);
    }
    *end = '\0';
    return encoded;
}

char *daemon_build_path(const char *path, const char *const *words, size_t count)
{
    char *built = text_copy(path);
    char separator = '?';
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (words[i + 1] == NULL)
            continue;
        char *value = daemon_segment(words[i + 1]);
        char *longer = text_format("%s%c%s=%s", built, separator, words[i], value);
        free(value);
        free(built);
        built = longer;
        separator = '&';
    }
    return built;
}

const char *json_get_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

double json_get_number(const json_t *object, const char *name, double otherwise)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool json_has_number(const json_t *object, const char *name)
{
    return json_is_number(json_object_get(object, name));
}

bool json_get_bool(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

void daemon_print_json(const json_t *answer)
{
    json_dumpf(answer, stdout, JSON_INDENT(2));
    putchar('\n');
}
