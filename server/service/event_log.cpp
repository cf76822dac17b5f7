#include "server/service/event_log.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/url_path.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

std::string_view name_of(core::EventKind kind) {
  switch (kind) {
    case core::EventKind::granted:
      return "granted";
    case core::EventKind::released:
      return "released";
    case core::EventKind::expired:
      return "expired";
    case core::EventKind::forced:
      return "forced";
    case core::EventKind::cooled:
      return "cooled";
    case core::EventKind::waiting:
      return "waiting";
    case core::EventKind::left:
      return "left";
  }
  return "";
}

}  // namespace

class EventLog::Reader final : public Stream {
 public:
  /// Bounds the events that one read() looks at, wanted or not: deciding threads wait for it.
  static constexpr std::size_t looked_at_max = 4'096;

  Reader(EventLog& log, std::string packed_prefix, Place next, bool is_reset)
      : log_(log),
        packed_prefix_(std::move(packed_prefix)),
        next_(next),
        opening_(open_at(log.place_name(next), is_reset)) {}
  ~Reader() override {
    const std::lock_guard lock{log_.mutex_};
    log_.readers_.erase(this);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void start(Waker& waker) override {
    const std::lock_guard lock{log_.mutex_};
    waker_ = &waker;
  }

  Outcome read(std::string& out, std::size_t limit) override {
    const std::lock_guard lock{log_.mutex_};
    out += std::exchange(opening_, {});
    if (next_ < log_.oldest_) return Outcome::over;  // too slow: it would miss events
    const core::PathView prefix{packed_prefix_};
    const std::size_t before = out.size();
    for (std::size_t looked_at = 0; next_ < log_.shown_; ++next_, ++looked_at) {
      if (out.size() - before >= limit || looked_at == looked_at_max) return Outcome::more;
      const Entry& entry = log_.at(next_);
      const core::PathView path{entry.packed_path};
      if (path == prefix || prefix.is_ancestor_of(path)) append(entry, out);
    }
    is_waiting_ = true;
    return Outcome::waits;
  }

  /// Includes the position up to which everything was looked at. Otherwise a reader of a quiet
  /// prefix would know only the id where it began, and after a disconnect that event may be gone
  /// from the log although the reader missed nothing.
  void append_comment(std::string& out) override {
    const std::lock_guard lock{log_.mutex_};
    out += ": \n" + log_.place_name(next_) + "\n";
  }

  /// REQUIRES: the log's mutex is held.
  void wake() {
    if (waker_ != nullptr && std::exchange(is_waiting_, false)) waker_->wake();
  }

 private:
  /// Also shows the client that it is being served. After a reset the id comes with the reset event
  /// and not before: a client that disconnected in between would never learn of the reset.
  static std::string open_at(const std::string& id, bool is_reset) {
    const std::string retry = "retry: 1000\n";
    return is_reset ? retry + "\n" + id + "event: reset\ndata: {}\n\n" : retry + id + "\n";
  }

  EventLog& log_;
  const std::string packed_prefix_;
  Place next_;
  std::string opening_;
  bool is_waiting_ = false;
  Waker* waker_ = nullptr;
};

void EventLog::add(const core::Event& event, Index index) {
  const std::lock_guard lock{mutex_};
  if (ring_.size() < capacity) ring_.emplace_back();
  if (end_ - oldest_ == capacity) ++oldest_;
  Entry& entry = ring_[end_ % capacity];  // its strings keep their memory
  text_bytes_ -= entry.text_bytes();
  entry.id = {index, first_number_ + end_};
  entry.kind = event.kind;
  entry.shape = event.shape;
  entry.cooling = event.cooling;
  entry.fence = event.fence;
  entry.packed_path = event.path.packed();
  entry.owner = event.owner;
  text_bytes_ += entry.text_bytes();
  ++end_;
  while (text_bytes_ > text_bytes_max) forget_oldest();
  show_until_durable();
}

void EventLog::forget_oldest() {
  Entry& entry = ring_[oldest_++ % capacity];
  text_bytes_ -= entry.text_bytes();
  std::string{}.swap(entry.packed_path);
  std::string{}.swap(entry.owner);
  text_bytes_ += entry.text_bytes();  // what the strings store inline
}

void EventLog::publish(Index durable) {
  const std::lock_guard lock{mutex_};
  durable_ = std::max(durable_, durable);
  show_until_durable();
}

void EventLog::show_until_durable() {
  const Place before = shown_;
  shown_ = std::max(shown_, oldest_);
  while (shown_ < end_ && at(shown_).id.index <= durable_) ++shown_;
  if (shown_ == before) return;
  for (Reader* const reader : readers_) reader->wake();
}

/// False: the event is unknown, or no longer kept, and so is what followed it; `place` stays
/// unchanged.
bool EventLog::find_place(std::string_view last_event_id, Place& place) const {
  Id id;
  const char* const end = last_event_id.data() + last_event_id.size();
  const auto index = std::from_chars(last_event_id.data(), end, id.index);
  if (index.ec != std::errc{} || index.ptr == end || *index.ptr != '.') return false;
  const auto number = std::from_chars(index.ptr + 1, end, id.number);
  if (number.ec != std::errc{} || number.ptr != end) return false;
  if (id == Id{start_index_, first_number_ - 1}) {
    if (oldest_ != 0) return false;
    place = 0;
    return true;
  }
  if (id.number < first_number_ || id.number - first_number_ >= end_) return false;
  const Place named = id.number - first_number_;
  if (named < oldest_ || at(named).id != id) return false;
  place = named + 1;
  return true;
}

/// Returns the line with the id of the event before `place`; empty if that event is no longer kept.
std::string EventLog::place_name(Place place) const {
  std::string line;
  if (place == 0) {
    append(Id{start_index_, first_number_ - 1}, line);
  } else if (place > oldest_) {
    append(at(place - 1).id, line);
  }
  return line;
}

std::unique_ptr<Stream> EventLog::follow(std::string packed_prefix,
                                         std::string_view last_event_id) {
  std::unique_ptr<Reader> reader;  // before the lock, which its destructor acquires, too
  const std::lock_guard lock{mutex_};
  if (readers_.size() >= readers_max_) return nullptr;
  Place place = shown_;
  const bool is_reset = !last_event_id.empty() && !find_place(last_event_id, place);
  reader = std::make_unique<Reader>(*this, std::move(packed_prefix), place, is_reset);
  readers_.insert(reader.get());
  return reader;
}

std::size_t EventLog::readers() const {
  const std::lock_guard lock{mutex_};
  return readers_.size();
}

void EventLog::append(const Id& id, std::string& out) {
  out += "id: " + std::to_string(id.index) + "." + std::to_string(id.number) + "\n";
}

void EventLog::append(const Entry& entry, std::string& out) {
  append(entry.id, out);
  out += "event: ";
  out += name_of(entry.kind);
  out += "\ndata: {\"path\": \"";
  core::append_url_path(core::PathView{entry.packed_path}, out);
  out += R"(", "owner": )";
  append_json_string(entry.owner.empty() ? "?" : entry.owner, out);
  out +=
      entry.shape.mode == core::Mode::shared ? R"(, "mode": "shared")" : R"(, "mode": "exclusive")";
  out += R"(, "fence": )";
  out += entry.fence == 0 ? "null" : std::to_string(entry.fence);
  if (entry.kind == core::EventKind::granted) {
    if (entry.shape.lock_parents) out += R"(, "lock_parents": true)";
    if (entry.shape.lock_children) out += R"(, "lock_children": true)";
  }
  const auto cooling = entry.cooling.count();
  if (cooling != 0) out += R"(, "cooling_ms": )" + std::to_string(cooling);
  out += R"(, "index": )" + std::to_string(entry.id.index) + "}\n\n";
}

}  // namespace locker::server
