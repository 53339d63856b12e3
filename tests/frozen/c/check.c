// Reads the first line that a server says and times it: the first check of `sonde new`, in a language that it does not know.

#include <stdlib.h>
#include <string.h>

#include "checker.h"

enum { UNEXPECTED = 1000, LINE_BYTES = 4096 };

// What is handed over is freed by the bindings: all of it is allocated.
static void *filled(size_t size, const void *with) { return memcpy(malloc(size), with, size); }
#define LIST(list, item) ((list).len = 1, (list).ptr = filled(sizeof(item), &(item)))

void exports_sonde_check_check_describe(exports_sonde_check_check_description_t *ret) {
  memset(ret, 0, sizeof *ret);
  checker_string_dup(&ret->name, "hello");
  checker_string_dup(&ret->version, "0.1.0");
  checker_string_dup(&ret->measurement, "hello");
  checker_string_dup(&ret->doc, "Reads the first line that a server says.");
  exports_sonde_check_check_parameter_t port = {
      .kind = EXPORTS_SONDE_CHECK_CHECK_PARAMETER_KIND_PORT, .required = true, .single_line = true};
  checker_string_dup(&port.name, "port");
  checker_string_dup(&port.doc, "TCP port.");
  LIST(ret->parameters, port);
  exports_sonde_check_check_field_description_t time = {
      .kind = EXPORTS_SONDE_CHECK_CHECK_FIELD_KIND_FLOAT, .phase = true};
  checker_string_dup(&time.name, "greeting_time_ms");
  checker_string_dup(&time.unit, "ms");
  checker_string_dup(&time.doc, "From connected to the line's end.");
  LIST(ret->fields, time);
  exports_sonde_check_check_error_description_t error = {.code = UNEXPECTED};
  checker_string_dup(&error.name, "no-greeting");
  checker_string_dup(&error.doc, "There is no line.");
  LIST(ret->errors, error);
}

void exports_sonde_check_check_validate(exports_sonde_check_check_job_t *job,
                                        exports_sonde_check_check_list_refusal_t *ret) {
  memset(ret, 0, sizeof *ret);
  if (job->deadline < 1000000000) {
    exports_sonde_check_check_refusal_t refusal = {.subject.tag = EXPORTS_SONDE_CHECK_CHECK_SUBJECT_TIMEOUT};
    checker_string_dup(&refusal.text, "expected 1s at least");
    LIST(*ret, refusal);
  }
  exports_sonde_check_check_job_free(job);
}

// The nanoseconds from connected to the line's end; -1: there is none, -2: a network call failed.
static int64_t first_line(sonde_check_network_borrow_connection_t connection, sonde_check_network_error_t *error) {
  sonde_check_network_opened_t opened;
  sonde_check_network_method_connection_opened(connection, &opened);
  sonde_check_network_opened_free(&opened);
  for (size_t count = 0; count < LINE_BYTES;) {
    sonde_check_network_received_t received;
    if (!sonde_check_network_method_connection_read(connection, LINE_BYTES, NULL, &received, error)) return -2;
    size_t len = received.bytes.len;
    bool whole = len > 0 && received.bytes.ptr[len - 1] == '\n';
    sonde_check_network_received_free(&received);
    if (whole) return received.received_at - opened.connected_at;
    if (len == 0) return -1;
    count += len;
  }
  return -1;
}

void exports_sonde_check_check_run(exports_sonde_check_check_job_t *job, exports_sonde_check_check_report_t *ret) {
  memset(ret, 0, sizeof *ret);
  sonde_check_network_own_connection_t connection;
  sonde_check_network_error_t error;
  int64_t elapsed = -2;
  if (sonde_check_network_static_connection_connect(&job->target, &connection, &error)) {
    elapsed = first_line(sonde_check_network_borrow_connection(connection), &error);
    sonde_check_network_connection_drop_own(connection);
  }
  exports_sonde_check_check_job_free(job);
  if (elapsed >= 0) {
    exports_sonde_check_check_field_t field = {0};
    checker_string_dup(&field.name, "greeting_time_ms");
    field.value.tag = EXPORTS_SONDE_CHECK_CHECK_VALUE_FLOAT;
    field.value.val.float_ = elapsed / 1e6;
    LIST(ret->fields, field);
    return;
  }
  ret->failure.is_some = true;
  exports_sonde_check_check_failure_t *failure = &ret->failure.val;
  if (elapsed == -2) {
    failure->cause.tag = EXPORTS_SONDE_CHECK_CHECK_CAUSE_NETWORK;
    failure->cause.val.network = error.kind;
    failure->text = error.text;
  } else {
    failure->cause.tag = EXPORTS_SONDE_CHECK_CHECK_CAUSE_JUDGEMENT;
    failure->cause.val.judgement.kind = EXPORTS_SONDE_CHECK_CHECK_FAILURE_KIND_PROTOCOL_ERROR;
    failure->cause.val.judgement.code = UNEXPECTED;
    checker_string_dup(&failure->text, "there is no line");
  }
}
