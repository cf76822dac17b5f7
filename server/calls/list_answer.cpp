#include "server/calls/list_answer.hpp"

#include <charconv>
#include <utility>

#include "server/calls/accept_header.hpp"
#include "server/calls/lock_json.hpp"

namespace locker::server {
namespace {

using core::Fault;

/// Formats the position of a page as in the member `next`.
std::string text_of(core::LockId place) {
  return std::to_string(place.fence) + "." + std::to_string(place.position);
}

}  // namespace

std::optional<Fault> read_after(std::string_view text, std::optional<core::LockId>& after) {
  // A malformed position must not mean the first page: a client that reads page after page would
  // never finish.
  core::LockId place;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, place.fence);
  if (read.ec == std::errc{} && read.ptr != end && *read.ptr == '.') {
    read = std::from_chars(read.ptr + 1, end, place.position);
  }
  constexpr std::size_t size_max = 30;
  if (read.ec != std::errc{} || read.ptr != end || text.size() > size_max) {
    return Fault{
        "Parameter 'after' must be the `next` of the previous page; leave it out for the first "
        "page."};
  }
  after = place;
  return std::nullopt;
}

void append_next(std::optional<core::LockId> next, std::string& body) {
  body += R"(, "next": )";
  body += next ? "\"" + text_of(*next) + "\"}" : "null}";
}

bool wants_text(const Request& request) {
  return quality_of("text/plain", request.accept) > quality_of("application/json", request.accept);
}

std::string text_page(const LockPages::Page& page, const core::Now& now) {
  std::string text = text_table(page.locks, now);
  if (page.next) text += "… continue with after=" + text_of(*page.next) + "\n";
  return text;
}

void answer_text(std::string text, Response& response) {
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text);
}

}  // namespace locker::server
