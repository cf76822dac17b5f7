#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "server/http/refusal.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// The text of header Date, made once a second.
class DateText {
 public:
  void set(std::time_t seconds);
  [[nodiscard]] std::string_view text() const { return {text_.data(), text_.size()}; }

 private:
  std::time_t seconds_ = -1;
  std::array<char, 29> text_{};
};

enum class ConnectionField {
  none,        ///< HTTP/1.1 stays open, which is its default.
  keep_alive,  ///< HTTP/1.0 stays open.
  close,
};

/// Appends the whole response. To a HEAD, the header with the length of the body; for a stream,
/// only the header. `index` is the Locker-Index.
void append_response(const Response& response, std::string_view date, std::uint64_t index,
                     ConnectionField connection, bool to_head, std::string& out);

/// Fills in the response to a request that is not passed to the handler.
void fill_in(const Refusal& refusal, Response& response);

/// Makes it a fresh one, but keeps the body's memory if that is at most `body_kept` bytes.
void reset(Response& response, std::size_t body_kept);

}  // namespace locker::server
