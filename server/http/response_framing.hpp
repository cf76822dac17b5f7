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
  none,        ///< HTTP/1.1 goes on: that is what leaving it out means.
  keep_alive,  ///< HTTP/1.0 goes on.
  close,
};

/// Appends the whole answer; without its body, but with its length, when it answers a HEAD. Of a
/// stream only the header. `index` is the Locker-Index.
void append_response(const Response& response, std::string_view date, std::uint64_t index,
                     ConnectionField connection, bool to_head, std::string& out);

/// Makes the answer to a request that the handler does not get to see.
void fill_in(const Refusal& refusal, Response& response);

/// Makes it a fresh one but for its body's capacity, up to `body_kept` bytes of it.
void reset(Response& response, std::size_t body_kept);

}  // namespace locker::server
