/*
 * Small texts and messages of others that we take apart: the supervisor's list of suspects and its
 * incidents, messages to people as the store keeps them, what the kernel says of the machine, times
 * and addresses, replies on the control socket. The first byte says which.
 */
#include "fuzz.h"

#include "alert/document.h"
#include "alert/saved.h"
#include "alert/text.h"
#include "api/incidents.h"
#include "base/address.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/machine_text.h"
#include "base/text.h"
#include "supervisor/control_client.h"
#include "supervisor/state_dir.h"
#include <fcntl.h>
#include <sys/socket.h>

static char folder[64];
static struct state_dir state_dir;

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        return;
}

void fuzz_begin(void)
{
    char why[STATE_DIR_WHY_SIZE];
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_JSON);
    snprintf(folder, sizeof folder, "%s/moonwatch-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL || !state_dir_open(&state_dir, folder, why))
        abort();
    atexit(remove_folder);
}

static void write_file(int parent, const char *name, const struct input *input)
{
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, input->at, input->left) != (ssize_t)input->left)
        abort();
    close(fd);
}

/* What was read is what will be written. */
static void read_suspects(const struct input *input)
{
    static struct suspects suspects, again;
    static char text[SUSPECTS_MAX * 128], text_again[sizeof text];
    memset(&suspects, 0, sizeof suspects);
    memset(&again, 0, sizeof again);
    write_file(state_dir.fd, "suspects", input);
    state_dir_load_suspects(&state_dir, &suspects);
    size_t length = suspects_format(&suspects, text, sizeof text);
    assert(suspects_parse(&again, text, length) == 0);
    assert(suspects_format(&again, text_again, sizeof text_again) == length);
    assert(memcmp(text, text_again, length) == 0);
    struct suspect *expired = suspects_expired(&suspects, (instant){1790000000000000});
    if (expired != NULL)
        suspect_release(expired);
}

static void read_incidents(const struct input *input)
{
    struct json json = {0};
    char path[96];
    write_file(state_dir.incidents_fd, "000001.json", input);
    snprintf(path, sizeof path, "%s/incidents", folder);
    json_array_open(&json, NULL);
    incidents_put_newest(&json, path, 10);
    json_array_close(&json);
    json_finish(&json);
}

static void write_message(const struct alert_message *message, uint32_t waiting)
{
    struct options options;
    struct alert_origin origin;
    struct alert_message again;
    struct json json = {0}, document = {0};
    char text[ALERT_TEXT_SIZE];
    uint32_t waiting_again;
    options_init(&options);
    alert_origin_init(&origin, &options);
    alert_webhook_json(&document, message, &origin);
    alert_api_json(&document, message, &origin);
    json_finish(&document);
    assert(alert_text(message, &origin, text) < sizeof text);
    alert_save(&json, message, waiting);
    assert(!json.failed);
    if (alert_saved_read(message->id, json.text, &again, &waiting_again) != OK)
        abort();
    assert(waiting == waiting_again && again.count == message->count);
    json_finish(&json);
}

static void read_message(struct input *input)
{
    static struct alert_message message;
    uint32_t waiting;
    char *text = input_text(input, '\0');
    memset(&message, 0, sizeof message);
    if (alert_saved_read(7, text, &message, &waiting) == OK)
        write_message(&message, waiting);
    free(text);
}

static void read_machine(struct input *input)
{
    char *text = input_text(input, '\0'), path[PATH_MAX];
    struct cpu_ticks ticks;
    struct memory_room room;
    struct process_pages pages;
    uint64_t number;
    double cpus;
    if (machine_parse_cpu(text, &ticks) == TEXT_OK)
        assert(ticks.busy <= ticks.total);
    if (machine_parse_memory(text, &room) == TEXT_OK)
        assert(room.available <= room.total);
    (void)!machine_parse_pressure(text, &number);
    (void)!machine_parse_cpu_limit(text, &cpus);
    (void)!machine_parse_bytes(text, &number);
    (void)!machine_parse_key(text, "usage_usec", &number);
    (void)!machine_parse_pages(text, &pages);
    (void)!machine_parse_wait(text, &number);
    if (cgroup_parse(text, "memory", path) != CGROUP_NONE)
        assert(path[0] == '/' && strlen(path) < sizeof path);
    free(text);
}

static void read_scalars(struct input *input)
{
    char *text = input_text(input, '\0'), out[ISO_TIME_SIZE], clean[64];
    instant at, again;
    struct address address;
    size_t length = strlen(text);
    if (iso_time_parse(text, &at) && at.us > 0) {
        iso_time_format(at, out);
        assert(iso_time_parse(out, &again) && again.us == at.us);
    }
    if (address_parse(text, length, &address)) {
        char formatted[ADDRESS_TEXT_MAX + 1];
        address_format(&address, formatted);
        assert(strcmp(formatted, text) == 0);
    } else {
        assert(address_complaint(text, length) != NULL);
    }
    size_t copied = text_copy(clean, sizeof clean, text, length);
    assert(copied == strlen(clean) && copied < sizeof clean);
    free(text);
}

/* A daemon of another version, or none, at the other end. */
static void read_control(const struct input *input)
{
    int fds[2];
    const struct command command = {.kind = COMMAND_STATUS};
    struct control_answer answer;
    char why[CONTROL_WHY_SIZE] = "";
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        abort();
    ssize_t sent = send(fds[1], input->at, input->left < 65536 ? input->left : 65536, MSG_DONTWAIT);
    (void)sent;
    shutdown(fds[1], SHUT_WR);
    if (control_ask(fds[0], &command, duration_ms(10), &answer, why)) {
        assert(memchr(answer.reply.message, '\0', sizeof answer.reply.message) != NULL);
        if (answer.page_fd >= 0)
            close(answer.page_fd);
    } else {
        assert(why[0] != '\0');
    }
    close(fds[0]);
    close(fds[1]);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    switch (input_u8(&input) % 6) {
    case 0:
        read_suspects(&input);
        break;
    case 1:
        read_incidents(&input);
        break;
    case 2:
        read_message(&input);
        break;
    case 3:
        read_machine(&input);
        break;
    case 4:
        read_scalars(&input);
        break;
    default:
        read_control(&input);
    }
}
