// ZooKeeper's own protocol: a lock is an ephemeral node. Waiting follows the recipe in its
// documentation: a sequential node under a common parent, and a watch on its predecessor.

#include <algorithm>
#include <vector>

#include "bench/cycles/big_endian.hpp"
#include "bench/cycles/dialogue.hpp"

namespace locker::bench {
namespace {

enum Operation : std::int32_t {
  create = 1,
  remove = 2,
  exists = 3,
  get_children = 8,
  ping = 11,
  close_session = -11,
};
constexpr std::int32_t watch_event = -1;
constexpr std::int32_t ping_number = -2;
constexpr std::int32_t no_node = -101;
constexpr std::int32_t node_exists = -110;
constexpr std::int32_t ephemeral = 1;
constexpr std::int32_t ephemeral_sequential = 3;
constexpr std::int32_t session_milliseconds = 40'000;
constexpr std::size_t reply_head = 4 + 4 + 8 + 4;  // length, number, zxid, error
constexpr std::string_view queue = "/queue";

void append_text(std::string_view text, std::string& out) {
  append_big_endian<std::int32_t>(static_cast<std::int32_t>(text.size()), out);
  out += text;
}

std::string_view read_text(std::string_view bytes, std::size_t& at) {
  const auto size = read_big_endian<std::uint32_t>(bytes, at);
  const std::string_view text = bytes.substr(at + 4, size);
  at += 4 + size;
  return text;
}

/// A node cannot be created without its parent, so a path is a single name here.
std::string node(std::string_view name) {
  std::string path = "/" + std::string{name};
  std::replace(path.begin() + 1, path.end(), '/', '.');
  return path;
}

class ZooKeeperDialogue final : public Dialogue {
 public:
  explicit ZooKeeperDialogue(const Speaker& speaker) : waits_(speaker.work == Work::hand_over) {}

  void greet(std::string& out) override {
    const std::size_t at = begin(out);
    append_big_endian<std::int32_t>(0, out);  // version
    append_big_endian<std::int64_t>(0, out);  // no zxid seen
    append_big_endian<std::int32_t>(session_milliseconds, out);
    append_big_endian<std::int64_t>(0, out);  // a new session
    append_text(std::string(16, '\0'), out);  // its password
    out += '\0';                              // not read-only
    set_length(at, false, out);
  }
  Heard hear_greeting(std::string_view bytes, std::string& out) override {
    const std::size_t size = whole_size(bytes);
    if (size == 0) return {};
    if (is_connected_) return {Heard::What::yes, size};
    is_connected_ = true;
    if (!waits_) return {Heard::What::yes, size};
    ask_create(std::string{queue}, 0, out);  // another connection may have created it
    return {Heard::What::aside, size};
  }

  void ask(const Lane& lane, std::string& out) override {
    switch (lane.verb) {
      case Verb::acquire:
        ask_create(node(lane.name), ephemeral, out);
        break;
      case Verb::acquire_waiting:
        is_queued_ = false;
        ask_create(std::string{queue} + "/", ephemeral_sequential, out);
        break;
      case Verb::release: {
        const std::size_t at = begin(remove, ++number_, out);
        append_text(waits_ ? lane.token : node(lane.name), out);
        append_big_endian<std::int32_t>(-1, out);  // any version
        set_length(at, false, out);
        break;
      }
      case Verb::query:
        ask_looking(exists, node(lane.name), false, out);
        break;
      case Verb::renew:
        set_length(begin(ping, ping_number, out), false, out);
        break;
    }
  }

  Heard hear(std::string_view bytes, Lane& lane, std::string& out) override {
    const std::size_t size = whole_size(bytes);
    if (size == 0) return {};
    const std::string_view reply = bytes.substr(0, size);
    const auto number = read_big_endian<std::int32_t>(reply, 4);
    if (lane.verb != Verb::renew && number == ping_number) return {Heard::What::aside, size};
    const auto error = read_big_endian<std::int32_t>(reply, 16);
    if (number != watch_event && error != 0 && error != no_node && error != node_exists) {
      throw Unexpected{"ZooKeeper's error " + std::to_string(error)};
    }
    if (lane.verb == Verb::acquire_waiting) {
      return {stand_in_line(reply, number, error, lane, out), size};
    }
    if (number == watch_event) return {Heard::What::aside, size};
    const bool yes = error == 0 || lane.verb == Verb::query;
    return {yes ? Heard::What::yes : Heard::What::no, size};
  }

  void part(std::string& out) override {
    set_length(begin(close_session, ++number_, out), false, out);
  }

 private:
  static std::size_t whole_size(std::string_view bytes) {
    if (bytes.size() < 4) return 0;
    const std::size_t size = 4 + read_big_endian<std::uint32_t>(bytes, 0);
    return size <= bytes.size() ? size : 0;
  }
  static std::size_t begin(std::string& out) {
    const std::size_t at = out.size();
    out.append(4, '\0');
    return at;
  }
  static std::size_t begin(Operation operation, std::int32_t number, std::string& out) {
    const std::size_t at = begin(out);
    append_big_endian<std::int32_t>(number, out);
    append_big_endian<std::int32_t>(operation, out);
    return at;
  }
  void ask_create(const std::string& path, std::int32_t flags, std::string& out) {
    const std::size_t at = begin(create, ++number_, out);
    append_text(path, out);
    append_text("", out);                      // its data
    append_big_endian<std::int32_t>(1, out);   // one right:
    append_big_endian<std::int32_t>(31, out);  // everything
    append_text("world", out);
    append_text("anyone", out);
    append_big_endian<std::int32_t>(flags, out);
    set_length(at, false, out);
  }
  void ask_looking(Operation operation, std::string_view path, bool watches, std::string& out) {
    const std::size_t at = begin(operation, ++number_, out);
    append_text(path, out);
    out += watches ? '\1' : '\0';
    set_length(at, false, out);
  }

  /// Does one step of the recipe.
  Heard::What stand_in_line(std::string_view reply, std::int32_t number, std::int32_t error,
                            Lane& lane, std::string& out) {
    std::size_t at = reply_head;
    if (!is_queued_) {
      if (number == watch_event) return Heard::What::aside;  // from the previous cycle
      if (error != 0) throw Unexpected{"ZooKeeper makes no node in the queue"};
      lane.token = read_text(reply, at);
      is_queued_ = true;
    } else if (asked_for_children_) {
      if (number == watch_event) return Heard::What::aside;
      asked_for_children_ = false;
      const std::string before = predecessor(reply, lane.token);
      if (before.empty()) return Heard::What::yes;
      ask_looking(exists, before, true, out);
      return Heard::What::aside;
    } else if (number != watch_event && error == 0) {
      return Heard::What::aside;  // it exists and is watched
    }
    asked_for_children_ = true;
    ask_looking(get_children, queue, false, out);
    return Heard::What::aside;
  }

  /// Returns the node before `ours`, or nothing if `ours` is the first.
  static std::string predecessor(std::string_view reply, std::string_view ours) {
    std::string_view before;
    const std::string_view name = ours.substr(queue.size() + 1);
    std::size_t at = reply_head + 4;
    for (auto left = read_big_endian<std::int32_t>(reply, reply_head); left > 0; --left) {
      const std::string_view other = read_text(reply, at);
      if (other < name && other > before) before = other;
    }
    return before.empty() ? "" : std::string{queue} + "/" + std::string{before};
  }

  bool waits_;
  bool is_connected_ = false;
  bool is_queued_ = false;
  bool asked_for_children_ = false;
  std::int32_t number_ = 0;
};

}  // namespace

std::unique_ptr<Dialogue> make_zookeeper_dialogue(const Speaker& speaker) {
  return std::make_unique<ZooKeeperDialogue>(speaker);
}

}  // namespace locker::bench
