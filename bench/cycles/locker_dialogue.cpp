// HTTP, for Locker and for the stand-in for its predecessor, which has the same calls.

#include <charconv>

#include "bench/cycles/dialogue.hpp"

namespace locker::bench {
namespace {

constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::size_t token_size = 36;

class LockerDialogue final : public Dialogue {
 public:
  explicit LockerDialogue(bool only_v1) : only_v1_(only_v1) {}

  void ask(const Lane& lane, std::string& out) override {
    switch (lane.verb) {
      case Verb::acquire:
        if (only_v1_) {
          say({"POST /v1/locks/", lane.name, "?owner=bench&ttl=60s"}, out);
        } else {
          say({"GET /canhaz/", lane.name}, out);
        }
        break;
      case Verb::acquire_waiting:
        say({"POST /v1/locks/", lane.name, "?owner=bench&ttl=60s&wait=60s"}, out);
        break;
      case Verb::release:
        if (only_v1_) {
          say({"DELETE /v1/locks/", lane.name, "?token=", lane.token}, out);
        } else {
          say({"GET /nowant/", lane.name, "?token=", lane.token}, out);
        }
        break;
      case Verb::query:
        say({"GET /dohaz/", lane.name}, out);
        break;
      case Verb::renew:
        say({"POST /v1/leases/renew?token=", lane.token}, out);
        break;
    }
  }

  Heard hear(std::string_view bytes, Lane& lane, std::string& /*out*/) override {
    const std::size_t head = bytes.find(head_end);
    if (head == std::string_view::npos) return {};
    const std::size_t body = head + head_end.size();
    const std::size_t size = body + content_length(bytes.substr(0, head));
    if (bytes.size() < size) return {};
    const bool yes = is_yes(bytes.substr(0, size), bytes.substr(body, size - body), lane);
    return {yes ? Heard::What::yes : Heard::What::no, size};
  }

 private:
  static void say(std::initializer_list<std::string_view> target, std::string& out) {
    for (const std::string_view part : target) out += part;
    out += " HTTP/1.1\r\nHost: bench\r\n";
    if (target.begin()->starts_with("POST")) out += "Content-Length: 0\r\n";
    out += "\r\n";
  }

  static std::size_t content_length(std::string_view head) {
    constexpr std::string_view name = "\r\nContent-Length: ";
    const std::size_t at = head.find(name);
    std::size_t length = 0;
    if (at == std::string_view::npos) throw Unexpected{"no Content-Length: " + std::string{head}};
    std::from_chars(head.data() + at + name.size(), head.data() + head.size(), length);
    return length;
  }

  static bool is_yes(std::string_view answer, std::string_view body, Lane& lane) {
    const std::string_view status = answer.substr(answer.find(' ') + 1, 3);
    const bool is_refusal = status == "423";
    if (!status.starts_with('2') && !is_refusal) throw Unexpected{std::string{answer}};
    switch (lane.verb) {
      case Verb::acquire:
      case Verb::acquire_waiting: {
        constexpr std::string_view name = R"("token": ")";
        const std::size_t at = body.find(name);
        if (at == std::string_view::npos) return false;
        lane.token = body.substr(at + name.size(), token_size);
        return true;
      }
      case Verb::release:
        return body.find(R"("ok": true)") != std::string_view::npos ||
               body.find(R"("released": true)") != std::string_view::npos;
      case Verb::query:
      case Verb::renew:
        break;
    }
    return !is_refusal;
  }

  bool only_v1_;
};

}  // namespace

std::unique_ptr<Dialogue> make_locker_dialogue(bool only_v1) {
  return std::make_unique<LockerDialogue>(only_v1);
}

}  // namespace locker::bench
