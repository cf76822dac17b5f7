#include "server/error_answer.hpp"

#include "server/json_text.hpp"
#include "server/lock_json.hpp"

namespace locker::server {

void begin_error(unsigned status, std::string_view code, std::string_view sentence,
                 Response& response) {
  response.status = status;
  response.retry_after = status == 429 || status == 503 || status == 507;
  response.body = R"({"error": ")";
  response.body += code;
  response.body += R"(", "message": )";
  append_json_string(sentence, response.body);
}

void answer_error(unsigned status, std::string_view code, std::string_view sentence,
                  Response& response) {
  begin_error(status, code, sentence, response);
  response.body += '}';
}

void answer_lease_ended(core::End reason, std::string_view detail, Response& response) {
  const bool is_forced = reason == core::End::forced;
  begin_error(
      410, "lease_ended",
      is_forced ? "An administrator ended this lock or lease; stop what it protected, and "
                  "acquire anew with another token."
      : reason == core::End::expired
          ? "The lease was not renewed in time and has expired; stop what it protected, and "
            "acquire anew with another token."
          : "The lease was released; acquire anew.",
      response);
  response.body += R"(, "reason": ")";
  response.body += name_of(reason);
  response.body += R"(", "detail": )";
  if (detail.empty()) {
    response.body += "null";
  } else {
    append_json_string(detail, response.body);
  }
  response.body += '}';
}

void answer_no_room(bool is_full, Response& response) {
  if (is_full) {
    return answer_error(507, "disk_full",
                        "The lock server's disk is full, or so much at once does not fit into a "
                        "segment of its journal (--segment-size); free space there, or ask for "
                        "less.",
                        response);
  }
  answer_error(503, "busy", "The journal is making room; try again now.", response);
}

}  // namespace locker::server
