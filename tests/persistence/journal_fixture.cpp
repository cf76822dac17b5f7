#include "tests/persistence/journal_fixture.hpp"

#include <algorithm>

namespace locker::persistence {

namespace {

/// Applies a record to what is held; false if it contradicts that.
bool replay(const core::Record& record, JournalTest::Held& held) {
  if (const auto* const granted = std::get_if<core::Granted>(&record)) {
    return held
        .emplace(granted->id,
                 std::string(granted->owner) + "|" + std::string(granted->path.packed()))
        .second;
  }
  if (const auto* const cooling = std::get_if<core::Cooling>(&record)) {
    return held.contains(cooling->id);
  }
  return held.erase(std::get<core::Ended>(record).id) == 1;
}

core::Token token_of(core::Fence fence) {
  core::Token token;
  token.bytes.fill(0xff);  // no zeros at the end of a record, which would look like padding
  for (std::size_t i = 0; i < 8; ++i) {
    token.bytes[i] = static_cast<std::uint8_t>(fence >> (8 * i));
  }
  return token;
}

}  // namespace

std::unique_ptr<LocalJournal> JournalTest::open_on(FileSystem& files, Held& held,
                                                   Durability durability) {
  LocalJournal::Options options;
  options.directory = directory;
  options.durability = durability;
  options.segment_bytes = segment_bytes_;
  options.random_number = [this] { return random_(); };
  options.on_warning = [this](std::string_view text) { warnings_.emplace_back(text); };
  options.on_failure = [this](const core::Fault& fault) { background_fault_ = fault.message; };
  options.background = false;
  held.clear();
  auto journal = LocalJournal::open(
      files, options,
      {[&held](Index, const core::Record& record) { return replay(record, held); },
       [&held] { held.clear(); }},
      recovered_);
  if (journal) return std::move(*journal);
  fault_ = journal.error();
  return nullptr;
}

bool JournalTest::append(LocalJournal& journal, History& history) {
  std::string records;
  std::uint32_t count = 0;
  Held held = history.after.back();
  std::vector<Held> after;
  for (const std::uint64_t wanted = 1 + random_() % 4; count < wanted; ++count) {
    if (!held.empty() && random_() % 5 < 2) {
      auto victim = held.begin();
      std::advance(victim, static_cast<std::ptrdiff_t>(random_() % held.size()));
      const core::Ended ended{token_of(victim->first.fence), victim->first, core::End::released};
      core::append_record(ended, records);
      replay(ended, held);
    } else {
      core::Path lock_path;
      for (std::uint64_t i = random_() % 8; i > 0; --i) {
        static_cast<void>(lock_path.push_back(std::string(1 + random_() % 250, 's')));
      }
      const std::string owner(random_() % 200, 'o');
      const core::Fence fence = ++history.last_fence;
      const core::Granted granted{token_of(fence), {fence, 0}, {}, owner, lock_path};
      core::append_record(granted, records);
      replay(granted, held);
    }
    after.push_back(held);
  }
  // Before the attempt: records that were not acknowledged may still be there.
  history.after.insert(history.after.end(), after.begin(), after.end());
  if (!journal.append(records, count)) return false;
  history.acknowledged = history.after.size() - 1;
  return true;
}

bool JournalTest::run(LocalJournal& journal, History& history, int frames) {
  for (int i = 0; i < frames; ++i) {
    if (i % 16 == 0 && !journal.run_background()) return false;
    if (!append(journal, history)) return false;
  }
  return true;
}

void JournalTest::expect_nothing_acknowledged_is_lost(const History& history,
                                                      const std::string& what) {
  Held held;
  const auto journal = open(held);
  ASSERT_TRUE(journal) << what << ": " << fault_.message;
  ASSERT_GE(recovered_.last_index, history.acknowledged) << what;
  ASSERT_LT(recovered_.last_index, history.after.size()) << what;
  EXPECT_EQ(held, history.after[recovered_.last_index]) << what;
}

}  // namespace locker::persistence
