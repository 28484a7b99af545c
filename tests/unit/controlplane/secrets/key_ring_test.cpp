#include "controlplane/secrets/key_ring.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "tests/unit/controlplane/admin/temp_dir.hpp"

namespace balancer::controlplane {
namespace {

using test::TempDir;

std::string hex_of(char digit) {
    return std::string(2 * kAeadKeyBytes, digit);
}

std::string id_of(char digit) {
    SealingKeys keys = parse_keys(hex_of(digit)).value();
    return to_hex(keys.front().id());
}

std::string why_not(std::string_view text) {
    Result<SealingKeys> keys = parse_keys(text);
    return keys ? "good" : keys.error().text();
}

std::vector<std::string> ids(const SealingKeys& keys) {
    std::vector<std::string> all;
    for (const SealingKey& key : keys) all.push_back(to_hex(key.id()));
    return all;
}

TEST(KeyText, BareKeysBeginWithTheActiveOne) {
    std::vector<std::string> expected = {id_of('a'), id_of('b')};
    EXPECT_EQ(ids(*parse_keys(hex_of('a') + "," + hex_of('b'))), expected);
    EXPECT_EQ(ids(*parse_keys("# two\n\n " + hex_of('a') + " \r\n" + hex_of('b'))), expected);
}

TEST(KeyText, IsReadAsItIsPrinted) {
    SealingKeys keys = parse_keys(hex_of('a') + "," + hex_of('b') + "," + hex_of('c')).value();
    SecretBytes text = print_keys(keys);
    EXPECT_EQ(ids(*parse_keys(text.view())), ids(keys));
    std::string old_first = "old " + id_of('b') + ' ' + hex_of('b') + "\nactive " + id_of('a') + ' ' + hex_of('a');
    EXPECT_EQ(ids(*parse_keys(old_first)), (std::vector<std::string>{id_of('a'), id_of('b')}));
}

TEST(KeyText, RefusesWhatItDoesNotUnderstandAndNeverRepeatsIt) {
    const std::string good = "active " + id_of('a') + ' ' + hex_of('a') + "\n";
    const std::map<std::string, std::string> cases = {
        {"", "no key"},
        {"# nothing\n", "no key"},
        {hex_of('a').substr(1), "line 1"},
        {hex_of('A'), "line 1"},
        {hex_of('a') + hex_of('a'), "line 1"},
        {"\n" + hex_of('a') + "\n" + hex_of('a'), "line 3 repeats"},
        {good + hex_of('b'), "line 2"},
        {good + "active " + id_of('b') + ' ' + hex_of('b'), "second active"},
        {"old " + id_of('a') + ' ' + hex_of('a'), "none of its keys is active"},
        {"new " + id_of('a') + ' ' + hex_of('a'), "line 1"},
        {"active " + id_of('b') + ' ' + hex_of('a'), "damaged"},
        {"active " + hex_of('a'), "line 1"},
        {good + "old " + id_of('b') + ' ' + hex_of('b') + " more", "line 2"},
        {std::string(kKeyTextBytesMax + 1, '#'), "larger"},
    };
    for (const auto& [text, words] : cases) {
        EXPECT_NE(why_not(text).find(words), std::string::npos) << text << ": " << why_not(text);
        EXPECT_EQ(why_not(text).find("aaaa"), std::string::npos) << why_not(text);
    }
}

TEST(KeyText, RefusesMoreKeysThanItsBound) {
    std::string text;
    for (std::size_t i = 0; i <= kSealingKeysMax; ++i) text += random_hex(kAeadKeyBytes) + '\n';
    EXPECT_NE(why_not(text).find("too many"), std::string::npos) << why_not(text);
}

struct Ring : testing::Test {
    KeyPlaces places() const {
        KeyPlaces places;
        places.file = dir.path() / KeyPlaces::kFileName;
        return places;
    }

    KeyRing open(KeyPlaces where) const {
        Result<KeyRing> ring = KeyRing::open(std::move(where));
        if (!ring) throw std::runtime_error(ring.error().text());
        return *std::move(ring);
    }

    std::string why_closed(KeyPlaces where) const {
        Result<KeyRing> ring = KeyRing::open(std::move(where));
        return ring ? "open" : ring.error().text();
    }

    static std::string active(const KeyRing& ring) { return ring.entries().front().id; }

    TempDir dir;
};

TEST_F(Ring, MakesAKeyThatOnlyItsOwnerCanReadAndFindsItAgain) {
    std::string id = active(open(places()));
    struct stat status {};
    ASSERT_EQ(::stat(places().file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0400u);
    EXPECT_EQ(active(open(places())), id);
}

TEST_F(Ring, RefusesAFileThatOthersCanReadAndSaysHowToMendIt) {
    open(places());
    for (mode_t mode : {0404, 0420, 0660, 0777}) {
        ASSERT_EQ(::chmod(places().file.c_str(), mode), 0);
        EXPECT_NE(why_closed(places()).find("chmod 400 " + places().file.string()), std::string::npos);
    }
    for (mode_t mode : {0600, 0440}) {
        ASSERT_EQ(::chmod(places().file.c_str(), mode), 0);
        EXPECT_EQ(why_closed(places()), "open");
    }
}

TEST_F(Ring, NeverOverwritesAFileThatItCannotUse) {
    dir.write(KeyPlaces::kFileName, "garbage\n");
    ASSERT_EQ(::chmod(places().file.c_str(), 0400), 0);
    EXPECT_NE(why_closed(places()).find("line 1"), std::string::npos) << why_closed(places());
    EXPECT_EQ(*read_file(places().file), "garbage\n");
}

TEST_F(Ring, RotatesAndRetires) {
    KeyRing ring = open(places());
    std::string first = active(ring);
    ASSERT_TRUE(ring.rotate());
    std::string second = active(ring);
    EXPECT_NE(second, first);
    EXPECT_EQ(active(open(places())), second);
    EXPECT_EQ(open(places()).entries().size(), 2u);
    EXPECT_NE(ring.retire(second).error().text().find("active"), std::string::npos);
    EXPECT_NE(ring.retire("0011223344556677").error().text().find("no key"), std::string::npos);
    ASSERT_TRUE(ring.retire(first));
    EXPECT_EQ(ring.entries().size(), 1u);
    EXPECT_EQ(open(places()).entries().size(), 1u);
    EXPECT_EQ(active(open(places())), second);
}

TEST_F(Ring, TakesACredentialBeforeTheVariableBeforeTheFile) {
    std::string of_file = active(open(places()));
    KeyPlaces where = places();
    where.variable = hex_of('b') + "," + hex_of('c');
    KeyRing with_variable = open(where);
    EXPECT_EQ(active(with_variable), id_of('b'));
    EXPECT_EQ(with_variable.entries().size(), 3u) << "what the file's key has sealed still opens";
    dir.write("credential", hex_of('a') + "\n");
    where.credential = dir.path() / "credential";
    KeyRing ring = open(where);
    std::vector<std::string> expected = {id_of('a'), id_of('b'), id_of('c'), of_file};
    std::vector<std::string> found;
    for (const KeyRing::Entry& entry : ring.entries()) found.push_back(entry.id);
    EXPECT_EQ(found, expected);
    EXPECT_EQ(ring.entries()[0].source, KeySource::kCredential);
    EXPECT_EQ(ring.entries()[1].source, KeySource::kEnvironment);
    EXPECT_EQ(ring.entries()[3].source, KeySource::kFile);

    EXPECT_NE(ring.rotate().error().text().find("systemd credential"), std::string::npos);
    EXPECT_NE(ring.retire(id_of('b')).error().text().find("environment"), std::string::npos);
    ASSERT_TRUE(ring.retire(of_file));
    EXPECT_FALSE(std::filesystem::exists(where.file));
}

TEST_F(Ring, MakesNoFileWhenTheKeyComesFromElsewhere) {
    KeyPlaces where = places();
    where.variable = hex_of('b');
    open(where);
    EXPECT_FALSE(std::filesystem::exists(where.file));
}

TEST_F(Ring, FindsItsPlacesInTheEnvironment) {
    dir.write(KeyPlaces::kCredentialName, hex_of('a'));
    std::map<std::string, std::string> variables = {{"CREDENTIALS_DIRECTORY", dir.path().string()}};
    auto environment = [&](const std::string& name) -> std::optional<std::string> {
        auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
    };
    EXPECT_EQ(active(open(KeyPlaces::in(dir.path(), environment))), id_of('a'));
    variables = {{"CREDENTIALS_DIRECTORY", "/nowhere"}, {KeyPlaces::kVariable, hex_of('b')}};
    EXPECT_EQ(active(open(KeyPlaces::in(dir.path(), environment))), id_of('b'));
    variables[KeyPlaces::kVariable] = "not a key";
    EXPECT_NE(why_closed(KeyPlaces::in(dir.path(), environment)).find(KeyPlaces::kVariable), std::string::npos);
}

// A process that is killed at a step of the file's change leaves the keys before it or those after it, and the old key
// in both.
TEST_F(Ring, ARotationThatIsKilledAtAnyStepLosesNoKey) {
    std::string first = active(open(places()));
    for (FileStep deadly :
         {FileStep::kCreate, FileStep::kWrite, FileStep::kSync, FileStep::kRename, FileStep::kSyncFolder}) {
        std::size_t keys_before = open(places()).entries().size();
        pid_t child = ::fork();
        if (child == 0) {
            KeyPlaces where = places();
            where.before = [deadly](FileStep step, const std::filesystem::path&) -> Result<void> {
                if (step == deadly) ::kill(::getpid(), SIGKILL);
                return {};
            };
            Result<KeyRing> ring = KeyRing::open(std::move(where));
            if (ring) (void)ring->rotate().has_value();
            ::_exit(0);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << "it was not killed";
        std::vector<KeyRing::Entry> entries = open(places()).entries();
        EXPECT_EQ(entries.size(), keys_before + (deadly == FileStep::kSyncFolder ? 1 : 0));
        auto is_first = [&](const KeyRing::Entry& entry) { return entry.id == first; };
        EXPECT_TRUE(std::any_of(entries.begin(), entries.end(), is_first));
        for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
            EXPECT_FALSE(file.path().string().ends_with(kTemporarySuffix)) << "keys were left in " << file.path();
        }
    }
}

}  // namespace
}  // namespace balancer::controlplane
