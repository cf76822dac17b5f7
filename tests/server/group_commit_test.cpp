#include "server/service/group_commit.hpp"

#include <new>

#include <gtest/gtest.h>

namespace locker::server {
namespace {

/// A journal that has no memory for a frame.
class ThrowingJournal final : public persistence::Journal {
 public:
  persistence::Result<void> append(std::string_view, std::uint32_t) override {
    throw std::bad_alloc{};
  }
  core::Room room_for(std::size_t, bool, std::size_t) const override { return core::Room::enough; }
};

void commit_one() {
  ThrowingJournal journal;
  GroupCommit commit{journal, 0, [](const core::Fault&) {}};
  {
    const std::lock_guard lock{commit.mutex()};
    commit.add(core::Ended{});
  }
  try {
    static_cast<void>(commit.commit());
  } catch (const std::exception&) {  // like a worker's thread, which goes on
  }
}

TEST(GroupCommitTest, AJournalThatThrowsEndsTheProcess) { EXPECT_DEATH(commit_one(), ""); }

}  // namespace
}  // namespace locker::server
