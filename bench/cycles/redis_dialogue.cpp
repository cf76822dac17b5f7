// Redis, as its documentation recommends for locking with one server: SET NX PX, and a script that
// deletes the key only if it still has the client's value. Waiting is BLPOP on a list that holds
// the lock while it is free; such a lock is lost with its holder, which costs Redis less than what
// Locker does.

#include <charconv>

#include "bench/cycles/dialogue.hpp"

namespace locker::bench {
namespace {

constexpr std::string_view delete_if_ours =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) "
    "else return 0 end";
constexpr std::string_view renew_if_ours =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],60000) "
    "else return 0 end";

/// Returns the size of the reply at the front, or 0 if it is incomplete.
std::size_t reply_size(std::string_view bytes) {
  const std::size_t line = bytes.find("\r\n");
  if (line == std::string_view::npos) return 0;
  long count = 0;
  std::from_chars(bytes.data() + 1, bytes.data() + line, count);
  std::size_t size = line + 2;
  if (bytes[0] == '$' && count >= 0) size += static_cast<std::size_t>(count) + 2;
  for (long i = 0; bytes[0] == '*' && i < count; ++i) {
    const std::size_t element = reply_size(bytes.substr(size));
    if (element == 0) return 0;
    size += element;
  }
  return size <= bytes.size() ? size : 0;
}

class RedisDialogue final : public Dialogue {
 public:
  explicit RedisDialogue(const Speaker& speaker)
      : value_("value" + std::to_string(speaker.number)),
        waits_(speaker.work == Work::hand_over),
        makes_list_(waits_ && speaker.number == 0) {}

  void greet(std::string& out) override {
    if (!makes_list_) return;
    command({"DEL", waited_for_name}, out);
    command({"LPUSH", waited_for_name, "free"}, out);
  }
  Heard hear_greeting(std::string_view bytes, std::string& /*out*/) override {
    const std::size_t size = reply_size(bytes);
    if (size == 0) return {};
    const bool is_last = !makes_list_ || ++greetings_heard_ == 2;
    return {is_last ? Heard::What::yes : Heard::What::aside, size};
  }

  void ask(const Lane& lane, std::string& out) override {
    switch (lane.verb) {
      case Verb::acquire:
        command({"SET", lane.name, value_, "NX", "PX", "60000"}, out);
        break;
      case Verb::acquire_waiting:
        command({"BLPOP", lane.name, "60"}, out);
        break;
      case Verb::release:
        if (waits_) {
          command({"LPUSH", lane.name, "free"}, out);
        } else {
          command({"EVAL", delete_if_ours, "1", lane.name, value_}, out);
        }
        break;
      case Verb::query:
        command({"GET", lane.name}, out);
        break;
      case Verb::renew:
        command({"EVAL", renew_if_ours, "1", lane.name, value_}, out);
        break;
    }
  }

  Heard hear(std::string_view bytes, Lane& lane, std::string& /*out*/) override {
    const std::size_t size = reply_size(bytes);
    if (size == 0) return {};
    if (bytes[0] == '-') throw Unexpected{std::string{bytes.substr(0, size)}};
    const bool yes = lane.verb == Verb::query || (bytes[0] == ':' && bytes[1] != '0') ||
                     bytes.starts_with("+OK") || bytes.starts_with("*2");
    return {yes ? Heard::What::yes : Heard::What::no, size};
  }

 private:
  static void command(std::initializer_list<std::string_view> words, std::string& out) {
    out += "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string_view word : words) {
      out += "$" + std::to_string(word.size()) + "\r\n";
      out += word;
      out += "\r\n";
    }
  }

  std::string value_;
  bool waits_;
  bool makes_list_;
  int greetings_heard_ = 0;
};

}  // namespace

std::unique_ptr<Dialogue> make_redis_dialogue(const Speaker& speaker) {
  return std::make_unique<RedisDialogue>(speaker);
}

}  // namespace locker::bench
