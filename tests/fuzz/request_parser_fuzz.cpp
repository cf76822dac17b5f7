// The HTTP parser: requests mean the same in whatever pieces they come, and stay within limits.

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/request_parser.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace {

using locker::fuzz::require;
using locker::server::RequestParser;

/// Some requests may have a large body, so that both limits are met.
class LargeBodyHandler final : public locker::server::RequestHandler {
 public:
  void answer(const locker::server::Request&, locker::server::Response&) override {}
  [[nodiscard]] locker::server::Treatment treatment_of(
      locker::server::Method, const locker::server::RequestTarget& target) const override {
    return {.has_large_body = target.path == "/v1/locks"};
  }
};

struct Seen {
  unsigned refused = 0;
  std::vector<std::string> requests;
  friend bool operator==(const Seen&, const Seen&) = default;
};

/// All that it has; the body last, for it alone can have line ends.
std::string text_of(const locker::server::Request& request) {
  std::string text = std::to_string(static_cast<int>(request.method));
  for (const std::string_view part :
       {request.method_name, request.target.text, request.content_type, request.accept,
        request.authorization, request.if_none_match, request.lock_token, request.last_event_id,
        request.requested_with, request.host, request.origin, request.referer,
        request.sec_fetch_site, request.sec_purpose, request.body}) {
    text.append("\n").append(part);
  }
  return text;
}

/// As a connection does it. Each look at the bytes is at a copy of just their size, so that a read
/// behind them is seen.
Seen parse(std::string_view bytes, locker::fuzz::Input* pieces) {
  const locker::server::HttpLimits limits;
  const LargeBodyHandler handler;
  RequestParser parser{limits, handler};
  Seen seen;
  std::size_t begin = 0;
  std::size_t end = pieces == nullptr ? bytes.size() : 0;
  for (;;) {
    const std::size_t size = end - begin;
    const auto copy = std::make_unique<char[]>(size);
    bytes.copy(copy.get(), size, begin);
    const std::string_view unread{copy.get(), size};
    switch (parser.parse(unread)) {
      case RequestParser::Outcome::refused:
        seen.refused = parser.refusal().status;
        require(seen.refused >= 400 && seen.refused < 600, "a refusal has a status of refusal");
        return seen;
      case RequestParser::Outcome::empty_line:
        begin += parser.size();
        break;
      case RequestParser::Outcome::complete: {
        const auto& request = parser.request();
        require(parser.size() <= size, "a request is within the bytes");
        require(request.target.text.size() <= limits.target_max, "the target is within its limit");
        require(request.body.size() <= limits.large_body_max, "the body is within its limit");
        seen.requests.push_back((parser.keep_alive() ? "on " : "off ") + text_of(request));
        begin += parser.size();
        parser.next();
        break;
      }
      case RequestParser::Outcome::incomplete:
        if (end == bytes.size()) return seen;
        end += 1 + (pieces->is_empty() ? 0 : pieces->byte() % 64);
        end = std::min(end, bytes.size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The first bytes choose the pieces.
  const std::size_t choices = std::min<std::size_t>(size, 8);
  const std::string_view bytes{reinterpret_cast<const char*>(data) + choices, size - choices};
  locker::fuzz::Input pieces{data, choices};
  const Seen whole = parse(bytes, nullptr);
  const Seen in_pieces = parse(bytes, &pieces);
  require(whole == in_pieces, "pieces change nothing",
          std::to_string(whole.refused) + " after " + std::to_string(whole.requests.size()) +
              " requests, in pieces " + std::to_string(in_pieces.refused) + " after " +
              std::to_string(in_pieces.requests.size()));
  return 0;
}
