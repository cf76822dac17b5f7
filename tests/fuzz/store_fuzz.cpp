// A store whose files were changed in any way: opening it gives a state that it had, or a refusal
// that says what is wrong. Never another state, never a crash.

#include <map>
#include <memory>
#include <random>
#include <set>

#include "core/lock_table.hpp"
#include "persistence/local_journal.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/support/simulated_disk.hpp"

namespace {

using locker::core::Fence;
using locker::fuzz::require;
using locker::persistence::LocalJournal;
using locker::test::SimulatedDisk;

using Held = std::set<std::pair<Fence, std::string>>;

Held held_in(const locker::core::LockTable& table) {
  Held held;
  table.for_each_lock([&](const locker::core::HeldLock& lock) {
    held.emplace(lock.id.fence, std::string{table.path_of(lock).view().packed()});
  });
  return held;
}

std::unique_ptr<LocalJournal> open(SimulatedDisk& disk, std::mt19937_64& random,
                                   locker::core::LockTable& table, std::string& fault) {
  LocalJournal::Options options;
  options.directory = "store";
  options.segment_bytes = locker::persistence::segment_bytes_min;
  options.random_number = [&random] { return random(); };
  options.on_warning = [](std::string_view) {};
  options.on_failure = [](const locker::core::Fault&) {};
  options.background = false;
  locker::persistence::Recovered recovered;
  auto journal =
      LocalJournal::open(disk, options,
                         {[&table](locker::persistence::Index, const locker::core::Record& record) {
                            return table.try_apply(record);
                          },
                          [&table] { table = locker::core::LockTable{}; }},
                         recovered);
  if (journal) return std::move(*journal);
  fault = journal.error().message;
  require(!fault.empty(), "a refusal says why");
  return nullptr;
}

/// A store with a snapshot and some segments, and every state that it had.
struct Sound {
  SimulatedDisk disk;
  std::set<Held> states;
  Held last;
};

const Sound& sound() {
  static const Sound made = [] {
    Sound store;
    std::mt19937_64 random{1};
    locker::core::LockTable table;
    std::string fault;
    const auto journal = open(store.disk, random, table, fault);
    require(journal != nullptr, "a new store opens", fault);
    store.states.insert(Held{});
    std::vector<std::pair<locker::core::Token, Fence>> held;
    const std::string meta(locker::core::meta_bytes_max, 'm');
    for (Fence fence = 1; fence < 400; ++fence) {
      std::string bytes;
      if (fence % 3 == 0) {
        const auto [token, ended] = held.front();
        held.erase(held.begin());
        const locker::core::Ended record{token, {ended, 0}, locker::core::End::released};
        table.apply(record);
        locker::core::append_record(record, bytes);
      } else {
        locker::core::Path path;
        static_cast<void>(path.push_back(std::to_string(fence % 50) + "x"));
        static_cast<void>(path.push_back(std::to_string(fence)));
        locker::core::Token token;
        token.bytes.fill(static_cast<std::uint8_t>(fence));
        token.bytes[0] = static_cast<std::uint8_t>(fence >> 8U);
        const locker::core::Granted record{token, {fence, 0}, {},   "owner", path,
                                           {},    {},         meta, false};
        table.apply(record);
        locker::core::append_record(record, bytes);
        held.emplace_back(token, fence);
      }
      require(journal->append(bytes, 1).has_value(), "it can be written");
      store.states.insert(held_in(table));
      if (fence % 8 == 0) require(journal->run_background().has_value(), "snapshots are made");
    }
    store.last = held_in(table);
    return store;
  }();
  return made;
}

}  // namespace

/// Steps of a byte that says what, and what it needs.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  locker::fuzz::Input input{data, size};
  SimulatedDisk disk = sound().disk;
  const std::vector<std::string> paths = disk.paths();
  bool is_cut = false;  // the end of a file is gone, or a file: as nobody's crash leaves it
  while (!input.is_empty()) {
    const std::uint8_t what = input.byte();
    const std::string& path = paths[input.byte() % paths.size()];
    if (!disk.has(path)) continue;
    std::string& bytes = disk.bytes(path);
    const std::size_t at = bytes.empty() ? 0 : input.number(3) % bytes.size();
    switch (what % 7) {
      case 0:
      case 1:
        if (!bytes.empty())
          bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(input.byte()));
        break;
      case 2:
        is_cut = true;
        bytes.resize(at);
        break;
      case 3: {
        const std::size_t count = std::min<std::size_t>(512, bytes.size() - at);
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, '\0');
        break;
      }
      case 4: {
        const std::string_view text = input.text(input.byte());
        bytes.replace(at, std::min(text.size(), bytes.size() - at),
                      text.substr(0, bytes.size() - at));
        break;
      }
      case 5:
        is_cut = true;
        disk.erase(path);
        break;
      default:
        is_cut = true;
        disk.put("store/" + std::string{input.text(input.byte() % 40)},
                 std::string{input.text(200)});
    }
  }
  std::mt19937_64 random{2};
  locker::core::LockTable table;
  std::string fault;
  const auto journal = open(disk, random, table, fault);
  if (journal == nullptr) return 0;
  const Held held = held_in(table);
  // A store without its STORE file, segments and snapshots is a new one.
  require(sound().states.contains(held), "what opens is a state that there was");
  if (!is_cut && held.empty()) require(false, "damage is not taken for a new store");
  return 0;
}
