#include "server/calls/error_answer.hpp"

#include <string>

#include "core/assert.hpp"
#include "core/url_path.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/lock_json.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

using Parameter = core::TokenUse::Parameter;

std::string_view name_of(Parameter parameter) {
  switch (parameter) {
    case Parameter::owner:
      return "owner";
    case Parameter::ttl:
      return "ttl";
    case Parameter::mode:
      return "mode";
    case Parameter::lock_parents:
      return "lock_parents";
    case Parameter::lock_children:
      return "lock_children";
    case Parameter::meta:
      return "meta";
    case Parameter::lock_delay:
      return "lock_delay";
    case Parameter::any:
      return "any";
    case Parameter::none:
      break;
  }
  return "";
}

/// Returns the current value of the parameter that differs, as a client would send it; empty if a
/// client would leave it out.
std::string value_of(const core::TokenUse& use) {
  const auto flag = [](bool is_set) { return std::string{is_set ? "true" : "false"}; };
  switch (use.differs) {
    case Parameter::owner:
    case Parameter::meta:
      return use.text;
    case Parameter::ttl:
    case Parameter::lock_delay:
      return use.duration.count() == 0 ? "" : std::to_string(use.duration.count()) + "ms";
    case Parameter::mode:
      return std::string{server::name_of(use.shape.mode)};
    case Parameter::lock_parents:
      return flag(use.shape.lock_parents);
    case Parameter::lock_children:
      return flag(use.shape.lock_children);
    case Parameter::any:
      return use.any == 0 ? "" : std::to_string(use.any);
    case Parameter::none:
      break;
  }
  return "";
}

std::string sentence_of(const core::TokenUse& use, const std::string& value) {
  std::string sentence = "This token is in use: ";
  if (use.packed_path) {
    sentence += use.is_held ? "it holds " : "a request with it is waiting for ";
    core::append_url_path(core::PathView{*use.packed_path}, sentence);
    if (use.differs == Parameter::none) {
      return sentence + " already; request only the other paths, or choose another token.";
    }
    sentence += " with a different ";
  } else if (use.differs == Parameter::none) {
    return sentence + "an acquire created its lease; use that lease, or choose another token.";
  } else {
    sentence += "its lease has a different ";
  }
  sentence += name_of(use.differs);
  const bool is_long = use.differs == Parameter::meta;
  if (!is_long) sentence += value.empty() ? ", none" : ", " + value;
  return sentence + "; send that, or choose another token.";
}

struct LimitText {
  std::string_view code;
  std::string_view sentence;
};

LimitText text_of(core::Outcome limit) {
  switch (limit) {
    case core::Outcome::too_many_locks:
      return {"too_many_locks",
              "The server holds its maximum number of locks (--locks-max); try again later."};
    case core::Outcome::too_many_leases:
      return {"too_many_leases",
              "The server has its maximum number of leases (--leases-max); try again later."};
    default:
      LOCKER_ASSERT(limit == core::Outcome::too_much_memory);
      return {"too_much_memory",
              "The memory for locks, leases and waiting requests is used up (--memory-max); try "
              "again later."};
  }
}

bool can_be_tried_again(unsigned status) { return status == 429 || status == 503 || status == 507; }

}  // namespace

void begin_error(unsigned status, std::string_view code, std::string_view sentence,
                 Response& response) {
  response.status = status;
  response.retry_after = can_be_tried_again(status);
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

void answer_wrong_method(std::string_view allowed, std::string_view sentence, Response& response) {
  response.allow = allowed;
  answer_error(405, "method_not_allowed", sentence, response);
}

void answer_unknown_method(const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  answer_wrong_method("GET, HEAD, POST, DELETE", "Use GET, HEAD, POST, DELETE for this call.",
                      response);
}

void answer_legacy_error(unsigned status, std::string_view sentence, Response& response) {
  response.status = status;
  response.retry_after = can_be_tried_again(status);
  response.body = R"({"ok": false, "error": )";
  append_json_string(sentence, response.body);
  response.body += '}';
}

void answer_limit(core::Outcome limit, Response& response) {
  const LimitText text = text_of(limit);
  answer_error(503, text.code, text.sentence, response);
}

std::string_view sentence_of_limit(core::Outcome limit) { return text_of(limit).sentence; }

void answer_lease_ended(const core::EndedMemory::Ended& ended, Response& response) {
  const bool is_forced = ended.reason == core::End::forced;
  begin_error(410, "lease_ended",
              is_forced ? "An administrator ended this lock or lease; stop what it protected, and "
                          "acquire again with another token."
              : ended.reason == core::End::expired
                  ? "The lease was not renewed in time and has expired; stop what it protected, "
                    "and acquire again with another token."
                  : "The lease was released; acquire again.",
              response);
  response.body += R"(, "reason": ")";
  response.body += name_of(ended.reason);
  response.body += R"(", "detail": )";
  if (ended.detail.empty()) {
    response.body += "null";
  } else {
    append_json_string(ended.detail, response.body);
  }
  response.body += '}';
}

void answer_token_in_use(const core::TokenUse& use, Response& response) {
  const std::string value = value_of(use);
  begin_error(409, "token_in_use", sentence_of(use, value), response);
  response.body += R"(, "parameter": )";
  if (use.differs == Parameter::none) {
    response.body += "null";
  } else {
    append_json_string(name_of(use.differs), response.body);
  }
  response.body += R"(, "now": )";
  if (value.empty()) {
    response.body += "null";
  } else {
    append_json_string(value, response.body);
  }
  response.body += R"(, "path": )";
  if (use.packed_path) {
    append_path(*use.packed_path, response.body);
  } else {
    response.body += "null";
  }
  response.body += '}';
}

void answer_no_room(bool is_full, Response& response) {
  if (is_full) {
    return answer_error(
        507, "disk_full",
        "The lock server's disk is full, or the request does not fit into a segment of its journal "
        "(--segment-size); free disk space, or request less.",
        response);
  }
  answer_error(503, "busy", "The journal is making room, or the server is stopping; try again.",
               response);
}

}  // namespace locker::server
