#include "core/record.hpp"

#include <bit>
#include <cstring>

#include "core/assert.hpp"

namespace locker::core {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

enum class Kind : std::uint8_t { granted = 1, ended = 2 };

// Bits of `flags` of a grant. The others must be zero: a newer version may give them a meaning.
constexpr std::uint8_t flag_shared = 1;
constexpr std::uint8_t flag_lock_parents = 2;
constexpr std::uint8_t flag_lock_children = 4;
constexpr std::uint8_t flags_known = 7;

struct Head {
  std::uint8_t kind;
  std::uint8_t flags;
  std::uint16_t position;
  // The fence stands unaligned on purpose: a record is packed, and read by memcpy.
  std::uint8_t fence[8];
  std::uint8_t token[16];
};
static_assert(sizeof(Head) == 28);

Head head_of(Kind kind, std::uint8_t flags, LockId id, const Token& token) {
  Head head{static_cast<std::uint8_t>(kind), flags, id.position, {}, {}};
  std::memcpy(head.fence, &id.fence, sizeof head.fence);
  std::memcpy(head.token, token.bytes.data(), sizeof head.token);
  return head;
}

void append_bytes(std::string& out, const void* bytes, std::size_t size) {
  out.append(static_cast<const char*>(bytes), size);
}

void append(const Granted& granted, std::string& out) {
  LOCKER_ASSERT(granted.owner.size() <= owner_bytes_max);
  const auto flags =
      static_cast<std::uint8_t>((granted.shape.mode == Mode::shared ? flag_shared : 0) |
                                (granted.shape.lock_parents ? flag_lock_parents : 0) |
                                (granted.shape.lock_children ? flag_lock_children : 0));
  const Head head = head_of(Kind::granted, flags, granted.id, granted.token);
  append_bytes(out, &head, sizeof head);
  out += static_cast<char>(granted.owner.size());
  const auto path_size = static_cast<std::uint16_t>(granted.path.packed().size());
  append_bytes(out, &path_size, sizeof path_size);
  out += granted.owner;
  out += granted.path.packed();
}

void append(const Ended& ended, std::string& out) {
  const Head head =
      head_of(Kind::ended, static_cast<std::uint8_t>(ended.reason), ended.id, ended.token);
  append_bytes(out, &head, sizeof head);
}

/// Returns the record's length, or 0 when it does not read.
std::size_t read_granted(const Head& head, std::string_view bytes, Granted& granted) {
  constexpr std::size_t owner_at = sizeof(Head) + 3;
  if (bytes.size() < owner_at || (head.flags & ~flags_known) != 0) return 0;
  const auto owner_size = static_cast<std::uint8_t>(bytes[sizeof(Head)]);
  std::uint16_t path_size = 0;
  std::memcpy(&path_size, bytes.data() + sizeof(Head) + 1, sizeof path_size);
  if (bytes.size() - owner_at < std::size_t{owner_size} + path_size) return 0;
  const std::string_view path = bytes.substr(owner_at + owner_size, path_size);
  if (!is_packed_path(path)) return 0;
  granted.shape.mode = (head.flags & flag_shared) != 0 ? Mode::shared : Mode::exclusive;
  granted.shape.lock_parents = (head.flags & flag_lock_parents) != 0;
  granted.shape.lock_children = (head.flags & flag_lock_children) != 0;
  granted.owner = bytes.substr(owner_at, owner_size);
  granted.path = PathView{path};
  return owner_at + owner_size + path_size;
}

}  // namespace

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
  Token token;
  std::memcpy(token.bytes.data(), head.token, sizeof head.token);
  LockId id{0, head.position};
  std::memcpy(&id.fence, head.fence, sizeof head.fence);
  std::size_t length = 0;
  if (head.kind == static_cast<std::uint8_t>(Kind::granted)) {
    Granted granted{token, id, {}, {}, {}};
    length = read_granted(head, rest_, granted);
    record = granted;
  } else if (head.kind == static_cast<std::uint8_t>(Kind::ended)) {
    if (head.flags <= static_cast<std::uint8_t>(End::forced)) length = sizeof head;
    record = Ended{token, id, static_cast<End>(head.flags)};
  }
  if (length == 0) {
    fault_ = "a record is of a kind or form that this version does not know";
    return false;
  }
  rest_.remove_prefix(length);
  return true;
}

}  // namespace locker::core
