#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace locker::test {

/// One HTTP response as received.
struct Answer {
  int status = 0;
  std::string head;  ///< Status line and fields, each line with its CR LF.
  std::string body;

  /// Returns a field's value; empty if it is absent. `name` as the server spells it.
  [[nodiscard]] std::string field(std::string_view name) const;
  [[nodiscard]] bool has_field(std::string_view name) const;
};

/// A TCP connection to 127.0.0.1 that sends arbitrary bytes and hides nothing. Reads time out after
/// 60 s, so that a test fails rather than hangs.
class RawClient {
 public:
  RawClient();
  explicit RawClient(std::uint16_t port) : RawClient() { connect(port); }
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void connect(std::uint16_t port);
  /// Returns false if the server has closed the connection.
  bool send(std::string_view bytes);
  /// Sends what the kernel accepts without blocking and returns how much that was; 0 if nothing.
  std::size_t send_some(std::string_view bytes);
  /// Whether the kernel accepts bytes within this time.
  [[nodiscard]] bool can_send(int milliseconds);
  void shut_down_sending();
  void close();
  /// Closes the connection so that the server's next write fails.
  void reset();
  /// Reads a response; nothing if the connection ends before one is complete. `to_head`: it has no
  /// body.
  std::optional<Answer> read_answer(bool to_head = false);
  /// Reads exactly `size` bytes; fewer if the connection ends before.
  std::string read(std::size_t size);
  /// Reads until the server closes the connection.
  std::string read_to_end();
  /// Whether the server has closed the connection and nothing more came before.
  [[nodiscard]] bool is_at_end();
  /// Whether the server has reset the connection; bytes received before may still be there.
  [[nodiscard]] bool is_reset();
  /// Whether bytes (or the end) can be read without waiting.
  [[nodiscard]] bool has_something();
  /// Sends a request and reads the response.
  std::optional<Answer> ask(std::string_view request);

 private:
  bool receive();

  int descriptor_;
  std::string received_;
};

/// Returns the HTTP/1.1 request `GET target` with further fields, each with its CR LF.
[[nodiscard]] std::string get(std::string_view target, std::string_view fields = "");

}  // namespace locker::test
