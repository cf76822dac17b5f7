// etcd over gRPC, which is HTTP/2 with a protobuf message after a prefix of five bytes. Encoded by
// hand: the cost of a gRPC library in the client would count against etcd, because both share the
// machine.
//
// A lock is a key, bound to the connection's lease. A transaction creates it only if it does not
// exist, and deletes it only if it has the client's value. Waiting uses etcd's own lock service.

#include "bench/cycles/big_endian.hpp"
#include "bench/cycles/dialogue.hpp"
#include "bench/cycles/protobuf.hpp"

namespace locker::bench {
namespace {

constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t frame_head = 9;
constexpr std::size_t message_head = 5;
constexpr std::uint32_t window = 1U << 30U;
constexpr std::uint64_t lease_seconds = 86'400;

enum Type : std::uint8_t {
  data = 0,
  headers = 1,
  reset = 3,
  settings = 4,
  ping = 6,
  go_away = 7,
  window_update = 8,
};
enum Flag : std::uint8_t { acknowledges = 1, end_stream = 1, end_headers = 4 };

void append_frame(Type type, unsigned flags, std::uint32_t stream, std::string_view payload,
                  std::string& out) {
  const std::size_t at = out.size();
  append_big_endian<std::uint32_t>(static_cast<std::uint32_t>(payload.size() << 8U) | type, out);
  append_big_endian<std::uint8_t>(static_cast<std::uint8_t>(flags), out);
  append_big_endian<std::uint32_t>(stream, out);
  out.insert(at + frame_head, payload);
}

/// Appends an HPACK string, uncompressed. REQUIRES: shorter than 127 bytes.
void append_text(std::string_view text, std::string& out) {
  out += static_cast<char>(text.size());
  out += text;
}

std::string header_block(std::string_view path) {
  std::string block = "\x83\x86";  // :method POST, :scheme http, of the static table
  block += '\x04';                 // :path
  append_text(path, block);
  block += '\x01';  // :authority
  append_text("bench", block);
  block += "\x0f\x10";  // content-type, the 31st of the static table
  append_text("application/grpc", block);
  block += '\0';  // a literal name
  append_text("te", block);
  append_text("trailers", block);
  return block;
}

std::string number_field(unsigned field, std::uint64_t number) {
  std::string message;
  append_field(field, number, message);
  return message;
}

std::string bytes_field(unsigned field, std::string_view bytes) {
  std::string message;
  append_field(field, bytes, message);
  return message;
}

class EtcdDialogue final : public Dialogue {
 public:
  explicit EtcdDialogue(const Speaker& speaker)
      : waits_(speaker.work == Work::hand_over),
        lease_(1'000 + speaker.number),
        value_("value" + std::to_string(speaker.number)) {}

  void greet(std::string& out) override {
    out += preface;
    std::string wide;
    append_big_endian<std::uint16_t>(4, wide);  // SETTINGS_INITIAL_WINDOW_SIZE
    append_big_endian<std::uint32_t>(window, wide);
    append_frame(settings, 0, 0, wide, out);
    std::string more;
    append_big_endian<std::uint32_t>(window, more);
    append_frame(window_update, 0, 0, more, out);
    // The lease may exist from an earlier run; then this is refused, which is as good.
    call("/etcdserverpb.Lease/LeaseGrant", number_field(1, lease_seconds) + number_field(2, lease_),
         out);
  }
  Heard hear_greeting(std::string_view bytes, std::string& out) override {
    const Heard heard = take_frame(bytes, out);
    if (heard.what != Heard::What::yes) return heard;
    message_.clear();
    return heard;
  }

  void ask(const Lane& lane, std::string& out) override {
    switch (lane.verb) {
      case Verb::acquire:
        call("/etcdserverpb.KV/Txn", put_if_new(lane.name), out);
        break;
      case Verb::acquire_waiting:
        call("/v3lockpb.Lock/Lock", bytes_field(1, lane.name) + number_field(2, lease_), out);
        break;
      case Verb::release:
        if (waits_) {
          call("/v3lockpb.Lock/Unlock", bytes_field(1, lane.token), out);
        } else {
          call("/etcdserverpb.KV/Txn", delete_if_ours(lane.name), out);
        }
        break;
      case Verb::query:
        call("/etcdserverpb.KV/Range", bytes_field(1, lane.name), out);
        break;
      case Verb::renew:
        call("/etcdserverpb.Lease/LeaseKeepAlive", number_field(1, lease_), out);
        break;
    }
  }

  Heard hear(std::string_view bytes, Lane& lane, std::string& out) override {
    Heard heard = take_frame(bytes, out);
    if (heard.what != Heard::What::yes) return heard;
    if (message_.empty()) throw Unexpected{"etcd refused a call"};
    if (!is_yes(lane)) heard.what = Heard::What::no;
    message_.clear();
    return heard;
  }

  [[nodiscard]] bool can_pipeline() const override { return false; }

 private:
  void call(std::string_view path, std::string_view message, std::string& out) {
    append_frame(headers, end_headers, stream_, header_block(path), out);
    std::string framed(1, '\0');  // not compressed
    append_big_endian<std::uint32_t>(static_cast<std::uint32_t>(message.size()), framed);
    framed += message;
    append_frame(data, end_stream, stream_, framed, out);
    stream_ += 2;
  }

  [[nodiscard]] std::string put_if_new(std::string_view key) const {
    const std::string no_revision =
        number_field(2, 1) + bytes_field(3, key) + number_field(5, 0);  // create_revision = 0
    const std::string put = bytes_field(1, key) + bytes_field(2, value_) + number_field(3, lease_);
    return bytes_field(1, no_revision) + bytes_field(2, bytes_field(2, put));
  }
  [[nodiscard]] std::string delete_if_ours(std::string_view key) const {
    const std::string has_value = number_field(2, 3) + bytes_field(3, key) + bytes_field(7, value_);
    return bytes_field(1, has_value) + bytes_field(2, bytes_field(3, bytes_field(1, key)));
  }

  /// `yes`: the call has ended, and message_ is its answer.
  Heard take_frame(std::string_view bytes, std::string& out) {
    if (bytes.size() < frame_head) return {};
    const std::size_t length = read_big_endian<std::uint32_t>(bytes, 0) >> 8U;
    if (bytes.size() < frame_head + length) return {};
    const auto type = static_cast<Type>(bytes[3]);
    const auto flags = static_cast<unsigned char>(bytes[4]);
    const std::string_view payload = bytes.substr(frame_head, length);
    if (type == go_away || type == reset) throw Unexpected{"etcd ended a connection or a call"};
    if (type == settings && (flags & acknowledges) == 0) {
      append_frame(settings, acknowledges, 0, "", out);
    }
    if (type == ping && (flags & acknowledges) == 0) {
      append_frame(ping, acknowledges, 0, payload, out);
    }
    if (type == data) message_ += payload;
    const bool ends = (type == data || type == headers) && (flags & end_stream) != 0;
    return {ends ? Heard::What::yes : Heard::What::aside, frame_head + length};
  }

  [[nodiscard]] bool is_yes(Lane& lane) const {
    const std::string_view message = std::string_view{message_}.substr(message_head);
    const bool is_transaction =
        lane.verb == Verb::acquire || (lane.verb == Verb::release && !waits_);
    bool yes = !is_transaction;
    for (FieldReader reader{message}; reader.next();) {
      if (is_transaction && reader.field == 2) yes = reader.number == 1;  // succeeded
      if (lane.verb == Verb::acquire_waiting && reader.field == 2) lane.token = reader.bytes;
    }
    return yes;
  }

  bool waits_;
  std::uint64_t lease_;
  std::string value_;
  std::uint32_t stream_ = 1;
  std::string message_;
};

}  // namespace

std::unique_ptr<Dialogue> make_etcd_dialogue(const Speaker& speaker) {
  return std::make_unique<EtcdDialogue>(speaker);
}

}  // namespace locker::bench
