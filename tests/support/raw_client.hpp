#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace locker::test {

/// One HTTP answer as it came.
struct Answer {
  int status = 0;
  std::string head;  ///< Status line and fields, each line with its CR LF.
  std::string body;

  /// A field's value; empty when it is not there. `name` as the server spells it.
  [[nodiscard]] std::string field(std::string_view name) const;
  [[nodiscard]] bool has_field(std::string_view name) const;
};

/// A TCP connection to 127.0.0.1 that sends any bytes and hides nothing. Reads give up after 60 s,
/// so that a test fails and does not hang.
class RawClient {
 public:
  RawClient();
  explicit RawClient(std::uint16_t port) : RawClient() { connect(port); }
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void connect(std::uint16_t port);
  /// False when the server has closed.
  bool send(std::string_view bytes);
  /// Sends what the kernel takes at once; 0 when it takes nothing.
  std::size_t send_some(std::string_view bytes);
  /// Whether the kernel takes bytes within this time.
  [[nodiscard]] bool can_send(int milliseconds);
  void shut_down_sending();
  void close();
  /// Closes in such a way that the server's next write fails.
  void reset();
  /// Nothing when the connection ends before an answer does. `to_head`: it has no body.
  std::optional<Answer> read_answer(bool to_head = false);
  /// Exactly so many bytes; fewer when the connection ends before.
  std::string read(std::size_t size);
  /// What comes until the server closes.
  std::string read_to_end();
  /// True when the server closed and nothing more came before.
  [[nodiscard]] bool is_at_end();
  /// Whether the server has reset it; bytes that came before may still be there.
  [[nodiscard]] bool is_reset();
  /// Whether bytes (or the end) are there already.
  [[nodiscard]] bool has_something();
  /// Request and answer.
  std::optional<Answer> ask(std::string_view request);

 private:
  bool receive();

  int descriptor_;
  std::string received_;
};

/// `GET target` of HTTP/1.1, with further fields, each with its CR LF.
[[nodiscard]] std::string get(std::string_view target, std::string_view fields = "");

}  // namespace locker::test
