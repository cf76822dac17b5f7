#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "core/lock_table.hpp"
#include "core/url_path.hpp"
#include "tests/core/oracle_lock_table.hpp"

namespace locker::core {
namespace {

struct Step {
  AcquireRequest request;
  Path path;
};

/// Few names and little depth, so that requests meet each other all the time.
Path random_path(std::mt19937_64& random) {
  Path path;
  static const std::string long_name(200, 'n');
  for (std::size_t depth = random() % 5; depth > 0; --depth) {
    const std::string_view name =
        std::array<std::string_view, 4>{"a", "b", "twelve-bytes", long_name}[random() % 4];
    EXPECT_EQ(path.push_back(name), Path::Push::ok);
  }
  return path;
}

Token token_of(std::uint64_t number) {
  Token token;
  token.bytes[3] = static_cast<std::uint8_t>(number);
  token.bytes[9] = 1;
  return token;
}

void run(std::uint64_t seed) {
  SCOPED_TRACE("replay with LOCKER_SEED=" + std::to_string(seed));
  std::mt19937_64 random{seed};
  LockTable table{seed};
  OracleLockTable oracle;
  std::string journal;
  Fence fence = 1000;
  for (int i = 0; i < 300; ++i) {
    if (!oracle.held().empty() && random() % 5 < 2) {
      const auto& held = oracle.held()[random() % oracle.held().size()];
      const Ended ended{held.token, held.id, End::released};
      const auto found = table.held_by(held.token, PathView{held.path});
      ASSERT_TRUE(found);
      ASSERT_EQ(found->id, held.id);
      table.apply(ended);
      append_record(ended, journal);
      oracle.end(ended.id);
      continue;
    }
    const Path path = random_path(random);
    const Token token = token_of(random() % 6);
    AcquireRequest request{
        .path = path,
        .shape = {random() % 2 == 0 ? Mode::exclusive : Mode::shared, random() % 3 != 0,
                  random() % 3 != 0},
        .rule = random() % 2 == 0 ? ClashRule::symmetric : ClashRule::holder_only,
        .token = token};
    if (request.rule == ClashRule::holder_only) request.shape.mode = Mode::exclusive;
    const auto blocker = table.blocker(request);
    const auto expected = oracle.blocker(request);
    ASSERT_EQ(blocker ? std::optional{blocker->id} : std::nullopt, expected) << "step " << i;
    if (const auto lease = table.find_lease_of(token)) {
      ASSERT_EQ(table.holds_clash(*lease, path, request.shape),
                oracle.holds_clash(token, path, request.shape))
          << "step " << i;
      for (auto again = random() % 4; again > 0; --again) {
        const Path other = random_path(random);
        ASSERT_EQ(table.holds_clash(*lease, other, request.shape),
                  oracle.holds_clash(token, other, request.shape))
            << "step " << i;
      }
    }
    if (blocker || table.held_by(token, path)) continue;
    const Granted granted{token, {++fence, 0}, request.shape, "", path};
    table.apply(granted);
    append_record(granted, journal);
    oracle.grant({granted.id, token, request.shape, std::string{path.view().packed()}});
    if (i % 16 == 0) table.check_invariants();
  }
  table.check_invariants();
  LockTable replayed{seed + 1};
  RecordReader reader{journal};
  for (Record record; reader.next(record);) ASSERT_TRUE(replayed.try_apply(record));
  std::vector<std::pair<LockId, std::string>> live, again;
  const auto collect = [](const LockTable& from, auto& into) {
    from.for_each_lock([&](const HeldLock& held) {
      into.emplace_back(held.id, from.path_of(held).view().packed());
    });
  };
  collect(table, live);
  collect(replayed, again);
  EXPECT_EQ(live, again);
  EXPECT_EQ(live.size(), oracle.held().size());
}

TEST(LockTableAgainstOracle, DecidesLikeAFlatListOnRandomCommands) {
  if (const char* seed = std::getenv("LOCKER_SEED")) {
    run(std::strtoull(seed, nullptr, 10));
    return;
  }
  for (std::uint64_t seed = 1; seed <= 2000 && !testing::Test::HasFatalFailure(); ++seed) run(seed);
}

}  // namespace
}  // namespace locker::core
