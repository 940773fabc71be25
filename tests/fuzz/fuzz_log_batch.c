/*
 * A segment of the log, as recovery, verify, dump and readers go through it. The bits of the first octet:
 *   1  CRCs and chain values are made right first, so that what they guard is reached
 *   2  positions and numbers, too
 *   4  the rest is one batch's payload alone, and the segment is made around it; of so many events as octet 2 says
 *
 * What is proved lies in the file and follows what was before; what is not has a reason. Headers and events encode to
 * the same again. Each event is found by its place, under its CRC alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/event.h"
#include "common/little_endian.h"
#include "common/log_reader.h"
#include "common/log_scan.h"
#include "server/event_json.h"
#include "server/log_tour.h"
#include "tests/fuzz/fuzz.h"

enum { REPAIR_SUMS = 1, REPAIR_NUMBERS = 2, PAYLOAD_ALONE = 4 };

static const struct uuid LEDGER = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct fuzz_file file;
static char data_dir[300];
static struct arena *arena;

/* A ledger's directory whose one segment is the file in memory. */
static void make_data_dir(void)
{
    char path[400];
    const char *tmp = getenv("TMPDIR");
    snprintf(data_dir, sizeof data_dir, "%s/talea-fuzz-XXXXXX", tmp ? tmp : "/tmp");
    FUZZ_HOLDS(mkdtemp(data_dir));
    snprintf(path, sizeof path, "%s/log", data_dir);
    FUZZ_HOLDS(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/log/segment-00000000000000000000.log", data_dir);
    FUZZ_HOLDS(symlink(file.path, path) == 0);
}

static void remove_data_dir(void)
{
    char path[400];
    snprintf(path, sizeof path, "%s/log/segment-00000000000000000000.log", data_dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/log", data_dir);
    rmdir(path);
    rmdir(data_dir);
}

/* --- what is read --- */

static struct sha256 repair_batch(uint8_t *at, uint64_t position, uint64_t number, const struct sha256 *before,
                                  unsigned how)
{
    uint32_t length = get_u32(at + 4);
    if (how & REPAIR_NUMBERS) {
        put_u64(at + 16, position);
        put_u64(at + 24, number);
    }
    put_u32(at + 44, crc32c(crc32c(0, at, 44), at + BATCH_HEADER_BYTES, length));
    struct sha256 chain = batch_chain(before, at, bytes_of(at + BATCH_HEADER_BYTES, length));
    memcpy(at + BATCH_HEADER_BYTES + length, chain.octets, SHA256_SIZE);
    return chain;
}

static void repair(uint8_t *bytes, size_t size, unsigned how)
{
    struct sha256 chain;
    uint64_t number = 1;
    if (size < SEGMENT_HEADER_BYTES)
        return;
    put_u32(bytes + 124, crc32c(0, bytes, 124));
    memcpy(chain.octets, bytes + 48, SHA256_SIZE);
    size_t at = SEGMENT_HEADER_BYTES;
    while (size - at >= BATCH_HEADER_BYTES && memcmp(bytes + at, "TLBT", 4) == 0) {
        uint64_t length = batch_disk_length(get_u32(bytes + at + 4));
        if (length > size - at)
            return;
        chain = repair_batch(bytes + at, at, number++, &chain, how);
        at += (size_t)length;
    }
}

static void make_segment(struct bytes payload, uint8_t event_count, struct buffer *out)
{
    uint8_t head[SEGMENT_HEADER_BYTES], batch[BATCH_HEADER_BYTES];
    struct segment_header segment = {
        .version = LOG_FORMAT_VERSION, .ledger = LEDGER, .next_batch = 1, .chain = chain_genesis(LEDGER)};
    struct batch_header header = {
        .payload_length = (uint32_t)payload.len, .event_count = event_count, .position = sizeof head, .number = 1};
    segment_header_encode(&segment, head);
    batch_header_encode(&header, payload.base, batch);
    struct sha256 chain = batch_chain(&segment.chain, batch, payload);
    buffer_append(out, head, sizeof head);
    buffer_append(out, batch, sizeof batch);
    buffer_append(out, payload.base, payload.len);
    buffer_append(out, chain.octets, SHA256_SIZE);
    while (out->len % BATCH_ALIGNMENT)
        buffer_append(out, "", 1);
}

static void make_file(struct bytes input, struct buffer *out)
{
    unsigned how = input.base[0];
    if (how & PAYLOAD_ALONE) {
        make_segment(bytes_of(input.base + 2, input.len - 2), input.base[1], out);
        return;
    }
    buffer_append(out, input.base + 2, input.len - 2);
    if (how & REPAIR_SUMS)
        repair(out->base, out->len, how);
}

/* --- headers --- */

static void check_segment_header(struct bytes content)
{
    struct segment_header header, again;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    if (content.len < SEGMENT_HEADER_BYTES || segment_header_decode(content.base, &header) != 0)
        return;
    segment_header_encode(&header, bytes);
    FUZZ_HOLDS(memcmp(bytes, content.base, 88) == 0);
    FUZZ_HOLDS(segment_header_decode(bytes, &again) == 0 && memcmp(&again, &header, sizeof header) == 0);
}

static void check_batch_header(const struct batch_header *header, struct bytes whole, struct bytes payload)
{
    uint8_t bytes[BATCH_HEADER_BYTES];
    struct batch_header again = *header;
    batch_header_encode(&again, payload.base, bytes);
    FUZZ_HOLDS(memcmp(bytes, whole.base, sizeof bytes) == 0 && again.crc == header->crc);
    FUZZ_HOLDS(batch_verify(whole.base, whole.len, header->position, &again) == 0);
    FUZZ_HOLDS(batch_verify(whole.base, whole.len - BATCH_ALIGNMENT, header->position, &again) == EBADMSG);
    FUZZ_HOLDS(batch_verify(whole.base, whole.len, header->position + 1, &again) == EBADMSG);
}

/* --- events --- */

static void check_place(struct log_reader *reader, uint64_t position, struct bytes bytes)
{
    struct buffer out = {0};
    struct event_place place = {position, (uint32_t)bytes.len, crc32c(0, bytes.base, bytes.len)};
    FUZZ_HOLDS(log_reader_event(reader, &place, &out) == 0 && bytes_equal(buffer_bytes(&out), bytes));
    place.crc++;
    FUZZ_HOLDS(log_reader_event(reader, &place, &out) == EBADMSG && out.len == bytes.len);
    place.length = UINT32_MAX;
    FUZZ_HOLDS(log_reader_event(reader, &place, &out) == EBADMSG && out.len == bytes.len);
    place.position = UINT64_MAX;
    FUZZ_HOLDS(log_reader_event(reader, &place, &out) == ENODATA && out.len == bytes.len);
    buffer_free(&out);
}

static void check_event(const struct event *event)
{
    struct event again;
    struct buffer packed = {0}, text = {0};
    size_t length = 0;
    FUZZ_HOLDS(event_kind_word(event->kind) && event->body.len > 0);
    event_pack(&packed, event);
    FUZZ_HOLDS(event_unpack(buffer_bytes(&packed), &again, &length) == 0 && length == packed.len);
    FUZZ_HOLDS(again.kind == event->kind && again.seq == event->seq && again.at_us == event->at_us);
    FUZZ_HOLDS(bytes_equal(again.book, event->book) && bytes_equal(again.body, event->body));
    FUZZ_HOLDS(memcmp(&again.tx_id, &event->tx_id, sizeof again.tx_id) == 0);
    struct json_text *j = json_text_create(&text);
    int error = event_json(j, event, arena);
    FUZZ_HOLDS(error == 0 || error == EBADMSG);
    json_text_destroy(&j);
    buffer_free(&packed);
    buffer_free(&text);
}

static void check_events(struct log_reader *reader, const struct batch_header *header, struct bytes payload)
{
    uint64_t position = header->position + BATCH_HEADER_BYTES;
    for (uint32_t i = 0; i < header->event_count && payload.len > 0; i++) {
        struct event event;
        size_t length;
        uint8_t *copy = fuzz_copy(payload); /* so that a look behind its end is seen */
        int error = event_unpack(bytes_of(copy, payload.len), &event, &length);
        FUZZ_HOLDS(error == EBADMSG || (error == 0 && length > 0 && length <= payload.len));
        if (error == 0) {
            check_event(&event);
            check_place(reader, position, bytes_of(payload.base, length));
        }
        free(copy);
        if (error)
            return;
        payload = bytes_of(payload.base + length, payload.len - length);
        position += length;
    }
}

/* --- the segment --- */

static uint64_t check_batches(struct log_scan *scan, struct log_reader *reader)
{
    struct log_mark mark = log_scan_begin(scan);
    struct batch_header header;
    struct bytes payload;
    uint64_t batches = 0;
    int error;
    for (;; batches++) {
        struct log_mark before = mark;
        error = log_scan_next(scan, &mark, &header, &payload);
        if (error)
            break;
        struct bytes whole = log_scan_whole(&header, payload);
        FUZZ_HOLDS(header.position == before.position && header.number == before.next_batch);
        FUZZ_HOLDS(mark.position == before.position + whole.len && mark.position <= log_scan_size(scan));
        FUZZ_HOLDS(mark.next_batch == header.number + 1 && whole.len % BATCH_ALIGNMENT == 0);
        check_batch_header(&header, whole, payload);
        check_events(reader, &header, payload);
    }
    bool later, zero;
    FUZZ_HOLDS(error == ENODATA || (error == EBADMSG && fuzz_is_one_line(log_scan_fault(scan))));
    FUZZ_HOLDS(error != ENODATA || mark.position == log_scan_size(scan));
    FUZZ_HOLDS(log_scan_find_later(scan, &mark, &later) == 0);
    FUZZ_HOLDS(log_scan_rest_is_zero(scan, mark.position, &zero) == 0 && !(later && zero));
    return batches;
}

static uint64_t check_scan(struct bytes content)
{
    struct log_scan *scan = NULL;
    uint64_t batches = 0;
    int error = log_scan_open(data_dir, 0, UINT64_MAX, &scan);
    FUZZ_HOLDS(scan && (error == 0 || error == EBADMSG || error == ENOTSUP || error == EXDEV));
    FUZZ_HOLDS(log_scan_size(scan) == content.len);
    struct log_reader *reader = log_reader_create(data_dir);
    if (error == 0)
        batches = check_batches(scan, reader);
    log_reader_destroy(&reader);
    log_scan_close(&scan);
    return batches;
}

static int count_visit(void *context, const struct tour_batch *batch)
{
    uint64_t *visits = context;
    (*visits)++;
    FUZZ_HOLDS(batch->before->position == batch->header->position && batch->after->position > batch->before->position);
    return 0;
}

/* As verify goes: it sees no batch that the scan has not proved, and says one line where it stops early. */
static void check_tour(uint64_t batches)
{
    struct fault fault = {""};
    uint64_t visits = 0;
    struct log_tour tour = {.data_dir = data_dir, .fault = &fault, .visit = count_visit, .context = &visits};
    int error = log_tour_go(&tour, UINT64_MAX);
    FUZZ_HOLDS(error == 0 || (error == EUCLEAN && fuzz_is_one_line(fault.text)));
    FUZZ_HOLDS(visits == tour.batches && visits <= batches); /* it ends with the seal of a segment */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer content = {0};
    if (size < 2)
        return 0;
    fuzz_silence_report();
    buffer_reserve(&content, size);
    make_file(bytes_of(data, size), &content);
    fuzz_file_fill(&file, buffer_bytes(&content));
    if (!data_dir[0]) {
        make_data_dir();
        atexit(remove_data_dir);
    }
    arena = arena_create();
    check_segment_header(buffer_bytes(&content));
    check_tour(check_scan(buffer_bytes(&content)));
    arena_destroy(&arena);
    buffer_free(&content);
    return 0;
}
