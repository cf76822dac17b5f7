#include "core/record.hpp"

#include <bit>
#include <cstring>

#include "core/assert.hpp"

namespace locker::core {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

enum class Kind : std::uint8_t {
  granted = 1,
  ended = 2,
  lease_opened = 3,
  ttl_changed = 4,
  cooling = 5,
};

// Bits of `flags` of a grant. The others must be zero: a newer version may give them a meaning.
constexpr std::uint8_t flag_shared = 1;
constexpr std::uint8_t flag_lock_parents = 2;
constexpr std::uint8_t flag_lock_children = 4;
// TTL, lock-delay and the size of the meta follow the other sizes; the meta follows the path.
constexpr std::uint8_t flag_terms = 8;
constexpr std::uint8_t flag_cooling = 16;
constexpr std::uint8_t flags_known = 31;

struct Head {
  std::uint8_t kind;
  std::uint8_t flags;
  std::uint16_t position;
  // The fence is unaligned on purpose: records are packed, and read by memcpy.
  std::uint8_t fence[8];
  std::uint8_t token[16];
};
static_assert(sizeof(Head) == record_head_bytes);

Head head_of(Kind kind, std::uint8_t flags, LockId id, const Token& token) {
  Head head{static_cast<std::uint8_t>(kind), flags, id.position, {}, {}};
  std::memcpy(head.fence, &id.fence, sizeof head.fence);
  std::memcpy(head.token, token.bytes.data(), sizeof head.token);
  return head;
}

void append_bytes(std::string& out, const void* bytes, std::size_t size) {
  out.append(static_cast<const char*>(bytes), size);
}

template <typename Number>
void append_number(std::string& out, Number number) {
  append_bytes(out, &number, sizeof number);
}

void append(const Granted& granted, std::string& out) {
  LOCKER_ASSERT(granted.owner.size() <= owner_bytes_max && granted.meta.size() <= meta_bytes_max);
  const bool has_terms =
      granted.ttl.count() != 0 || granted.lock_delay.count() != 0 || !granted.meta.empty();
  const auto flags = static_cast<std::uint8_t>(
      (granted.shape.mode == Mode::shared ? flag_shared : 0) |
      (granted.shape.lock_parents ? flag_lock_parents : 0) |
      (granted.shape.lock_children ? flag_lock_children : 0) | (has_terms ? flag_terms : 0) |
      (granted.is_cooling ? flag_cooling : 0));
  const Head head = head_of(Kind::granted, flags, granted.id, granted.token);
  append_bytes(out, &head, sizeof head);
  out += static_cast<char>(granted.owner.size());
  append_number(out, static_cast<std::uint16_t>(granted.path.packed().size()));
  if (has_terms) {
    append_number(out, granted.ttl.count());
    append_number(out, granted.lock_delay.count());
    append_number(out, static_cast<std::uint16_t>(granted.meta.size()));
  }
  out += granted.owner;
  out += granted.path.packed();
  out += granted.meta;
}

void append(const Ended& ended, std::string& out) {
  const Head head =
      head_of(Kind::ended, static_cast<std::uint8_t>(ended.reason), ended.id, ended.token);
  append_bytes(out, &head, sizeof head);
}

void append(const Cooling& cooling, std::string& out) {
  const Head head =
      head_of(Kind::cooling, static_cast<std::uint8_t>(cooling.reason), cooling.id, cooling.token);
  append_bytes(out, &head, sizeof head);
}

void append(const LeaseOpened& opened, std::string& out) {
  LOCKER_ASSERT(opened.owner.size() <= owner_bytes_max);
  const Head head = head_of(Kind::lease_opened, 0, opened.id, opened.token);
  append_bytes(out, &head, sizeof head);
  out += static_cast<char>(opened.owner.size());
  append_number(out, opened.ttl.count());
  out += opened.owner;
}

void append(const TtlChanged& changed, std::string& out) {
  const Head head = head_of(Kind::ttl_changed, 0, {}, changed.token);
  append_bytes(out, &head, sizeof head);
  append_number(out, changed.ttl.count());
}

/// Reads fields from the front; a read beyond the end marks it as spoilt.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}
  template <typename Number>
  Number number() {
    Number value{};
    const std::string_view bytes = text(sizeof value);
    if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::string_view text(std::size_t size) {
    if (size > rest_.size()) {
      is_spoilt_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  [[nodiscard]] bool is_spoilt() const { return is_spoilt_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool is_spoilt_ = false;
};

bool read(std::uint8_t flags, Fields& fields, Granted& granted) {
  if ((flags & ~flags_known) != 0) return false;
  const auto owner_size = fields.number<std::uint8_t>();
  const auto path_size = fields.number<std::uint16_t>();
  std::uint16_t meta_size = 0;
  if ((flags & flag_terms) != 0) {
    granted.ttl = Milliseconds{fields.number<std::uint32_t>()};
    granted.lock_delay = Milliseconds{fields.number<std::uint32_t>()};
    meta_size = fields.number<std::uint16_t>();
  }
  granted.owner = fields.text(owner_size);
  const std::string_view path = fields.text(path_size);
  granted.meta = fields.text(meta_size);
  if (fields.is_spoilt() || meta_size > meta_bytes_max || !is_packed_path(path)) return false;
  granted.path = PathView{path};
  granted.shape.mode = (flags & flag_shared) != 0 ? Mode::shared : Mode::exclusive;
  granted.shape.lock_parents = (flags & flag_lock_parents) != 0;
  granted.shape.lock_children = (flags & flag_lock_children) != 0;
  granted.is_cooling = (flags & flag_cooling) != 0;
  return true;
}

/// Returns false if the form of the record is unknown.
bool read(const Head& head, Fields& fields, Record& record) {
  Token token;
  std::memcpy(token.bytes.data(), head.token, sizeof head.token);
  LockId id{0, head.position};
  std::memcpy(&id.fence, head.fence, sizeof head.fence);
  const auto reason = static_cast<End>(head.flags);
  switch (static_cast<Kind>(head.kind)) {
    case Kind::granted: {
      Granted granted{token, id, {}, {}, {}};
      if (!read(head.flags, fields, granted)) return false;
      record = granted;
      return true;
    }
    case Kind::ended:
      record = Ended{token, id, reason};
      return head.flags <= static_cast<std::uint8_t>(End::cooled);
    case Kind::cooling:
      record = Cooling{token, id, reason};
      return reason == End::expired || reason == End::forced;
    case Kind::lease_opened: {
      LeaseOpened opened{token, id, {}};
      const auto owner_size = fields.number<std::uint8_t>();
      opened.ttl = Milliseconds{fields.number<std::uint32_t>()};
      opened.owner = fields.text(owner_size);
      record = opened;
      return head.flags == 0;
    }
    case Kind::ttl_changed:
      record = TtlChanged{token, Milliseconds{fields.number<std::uint32_t>()}};
      return head.flags == 0;
  }
  return false;
}

}  // namespace

Fence fence_given_by(const Record& record) {
  if (const auto* const granted = std::get_if<Granted>(&record)) return granted->id.fence;
  if (const auto* const opened = std::get_if<LeaseOpened>(&record)) return opened->id.fence;
  return 0;
}

void append_record(const Record& record, std::string& out) {
  std::visit([&out](const auto& kind) { append(kind, out); }, record);
}

bool RecordReader::next(Record& record) {
  if (rest_.empty() || fault_ != nullptr) return false;
  Head head{};
  if (rest_.size() < sizeof head) {
    fault_ = "a record is cut short";
    return false;
  }
  std::memcpy(&head, rest_.data(), sizeof head);
  Fields fields{rest_.substr(sizeof head)};
  if (!read(head, fields, record) || fields.is_spoilt()) {
    fault_ = "a record has a kind or form that this version does not know";
    return false;
  }
  rest_.remove_prefix(rest_.size() - fields.left());
  return true;
}

}  // namespace locker::core
