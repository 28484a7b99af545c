// Which configuration runs: the revisions, and the rules by which one follows another.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "controlplane/config/load.hpp"
#include "controlplane/config/mask_yaml.hpp"
#include "controlplane/config/moved_credentials.hpp"
#include "controlplane/overrides.hpp"
#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

// Who makes a change, and why.
struct Origin {
    RevisionSource source = RevisionSource::kCli;
    std::string actor;
    std::string reason;
};

// A configuration that passed every check and may be put in force.
struct Candidate {
    Revision revision;                 // its number is 0 until it is kept
    LoadedConfig loaded;               // what revision.yaml says
    v1::ConfigSection config;          // with the overrides on top: what is published
    std::vector<std::string> notices;  // of this step: edits that were lost, overrides that ended
    bool kept = false;                 // it is the store's head already: at a start
};

using Proposal = std::variant<Candidate, std::vector<ConfigProblem>>;

// Lives on the control plane's loop, beside the store. A proposal changes nothing; keep() makes it
// the head, on disk before it returns. Publishing is the caller's, after that.
class Revisions {
  public:
    Revisions(
        Store& store, std::filesystem::path file, Environment environment, SealedKeyLookup sealed_keys
    );

    // What is to run at a start, with the file as it was read just now (with or without sealed keys): the head, while
    // the file is what the head started from and the head's text can be opened; else the file. An error of the store
    // ends the start, problems of the head too (`problems` in it are the head's own, since the file was checked
    // before).
    Result<Proposal> at_start(LoadedConfig file);

    // The file has been read again and says something else than what the head started from: it
    // wins, and what was changed by hand and is not in it is named in the notices.
    Proposal from_file(LoadedConfig file, const Origin& origin) const;

    // Another text, with the overrides as far as they still fit.
    Proposal with_text(std::string yaml, const Origin& origin) const;

    // The same text, other overrides.
    Candidate with_overrides(
        std::vector<Override> overrides, const Origin& origin, std::string summary
    ) const;

    // An old revision, text and overrides.
    Proposal from_revision(const Revision& old, const Origin& origin) const;

    // The running text once more, with the secrets that its references lead to now.
    LoadResult read_again() const;

    // Makes the candidate the head. An error: nothing has changed.
    Result<void> keep(Candidate candidate);

    // Takes over what the same text means now (read_again), without a revision.
    void refresh(LoadedConfig loaded);

    // True when a file with that digest is what the head started from, or what it says.
    bool is_known_file(std::string_view sha256) const;

    // The file has been given the running text.
    Result<void> file_saved();

    // A file with the head's own text: it is what the head starts from, from now on.
    Result<void> adopt_file(std::string_view sha256);

    bool edited_by_hand() const { return head_.yaml_sha256 != head_.file_sha256; }

    const Revision& head() const { return head_; }
    const LoadedConfig& loaded() const { return loaded_; }
    const std::filesystem::path& file() const { return file_; }

    // "revision 7 is not in force any more: 9 is (by joe@host, …)"; no error for 0.
    Result<void> check_revision(std::uint64_t if_revision) const;

    // What an operator sees of a revision: its text with secrets masked, and what was enabled and
    // disabled by hand, as comments.
    Result<std::string> shown(const Revision& revision) const;
    // The credentials that one text sends to another origin than the other; none when one of them is no good.
    std::vector<MovedCredential> moved(const std::string& from, const std::string& to) const;
    // The same, in words, of what would follow the head.
    std::vector<std::string> moved_words(const LoadedConfig& next) const;
    // Of the difference between what two revisions show.
    Result<std::string> diff(
        const Revision& from,
        const Revision& to,
        std::string_view from_name,
        std::string_view to_name
    ) const;

  private:
    // The head's text is locked or damaged.
    Proposal without_head(LoadedConfig file) const;
    // What `now` loses of the edits made since the file was read.
    std::vector<std::string> lost_edits(const LoadedConfig& now) const;
    // Notices about overrides that end with `candidate`.
    void apply(Candidate& candidate, std::vector<Override> overrides) const;
    Candidate make(LoadedConfig loaded, const Origin& origin, std::string file_sha256) const;

    Store& store_;
    const std::filesystem::path file_;
    const Environment environment_;
    const SealedKeyLookup sealed_keys_;
    YamlMask mask_;
    Revision head_;
    LoadedConfig loaded_;
};

}  // namespace balancer::controlplane
