#include "tests/histories/journal.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "tests/histories/json_lines.hpp"

namespace locker::histories {
namespace {

constexpr std::array<std::string_view, 9> kind_names{"granted", "lease_opened", "ttl_changed",
                                                     "cooling", "released",     "expired",
                                                     "forced",  "changed",      "cooled"};

Record read_record(const boost::json::object& object) {
  Record record;
  const std::string kind = text_of(object, "record");
  const auto* const name = std::find(kind_names.begin(), kind_names.end(), kind);
  if (name == kind_names.end()) throw std::runtime_error("the unknown record " + kind);
  record.kind = static_cast<Record::Kind>(name - kind_names.begin());
  record.index = static_cast<Index>(number_of(object, "index"));
  record.lease = static_cast<std::uint64_t>(number_of(object, "lease"));
  record.fence = static_cast<Fence>(number_of(object, "fence"));
  record.position = static_cast<unsigned>(number_of(object, "position"));
  record.path = text_of(object, "path");
  record.shape.is_shared = text_of(object, "mode") == "shared";
  record.shape.lock_parents = flag_of(object, "lock_parents", true);
  record.shape.lock_children = flag_of(object, "lock_children", true);
  record.owner = text_of(object, "owner");
  record.ttl_ms = number_of(object, "ttl_ms");
  record.lock_delay_ms = number_of(object, "lock_delay_ms");
  record.meta = text_of(object, "meta");
  record.is_cooling = flag_of(object, "cooling", false);
  record.is_forced = text_of(object, "reason") == "forced";
  return record;
}

}  // namespace

std::string_view name_of(Record::Kind kind) {
  return kind_names.at(static_cast<std::size_t>(kind));
}

std::vector<Record> read_journal(const std::string& file) {
  std::vector<Record> records;
  for_each_json_line(file, [&records](std::uint64_t, const boost::json::object& object) {
    records.push_back(read_record(object));
  });
  return records;
}

}  // namespace locker::histories
