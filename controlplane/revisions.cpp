#include "controlplane/revisions.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "controlplane/config/config_changes.hpp"
#include "controlplane/config/line_diff.hpp"

namespace balancer::controlplane {
namespace {

// In words; the texts have been parsed before.
std::string summary_of(const std::string& from, const std::string& to) {
    Result<YamlTree> before = parse_yaml_tree(from);
    Result<YamlTree> after = parse_yaml_tree(to);
    if (!before || !after) return "the text changed";
    std::string summary = to_summary(changes_between(*before, *after));
    return summary.empty() ? "comments or layout only" : summary;
}

void sort_by_provider(std::vector<Override>& overrides) {
    std::sort(overrides.begin(), overrides.end(), [](const Override& a, const Override& b) {
        return a.provider < b.provider;
    });
}

}  // namespace

Revisions::Revisions(
    Store& store, std::filesystem::path file, Environment environment, SealedKeyLookup sealed_keys
)
    : store_(store),
      file_(std::move(file)),
      environment_(std::move(environment)),
      sealed_keys_(std::move(sealed_keys)) {}

Candidate Revisions::make(LoadedConfig loaded, const Origin& origin, std::string file_sha256)
    const {
    Candidate candidate;
    Revision& revision = candidate.revision;
    revision.parent = head_.number;
    revision.at = unix_now();
    revision.actor = origin.actor;
    revision.source = origin.source;
    revision.reason = origin.reason;
    revision.yaml = loaded.text;
    revision.yaml_sha256 = loaded.sha256;
    revision.file_sha256 = std::move(file_sha256);
    candidate.loaded = std::move(loaded);
    return candidate;
}

void Revisions::apply(Candidate& candidate, std::vector<Override> overrides) const {
    sort_by_provider(overrides);
    Effective effective = apply_overrides(candidate.loaded.config, overrides);
    candidate.config = std::move(effective.config);
    candidate.revision.overrides = std::move(effective.kept);
    for (const Override& ended : effective.ended) {
        candidate.notices.push_back(fmt::format(
            "provider '{}' is no longer {} by hand: its own `enabled` has changed, or it is gone",
            ended.provider,
            ended.enabled ? "enabled" : "disabled"
        ));
    }
    for (std::string& words : moved_words(candidate.loaded)) candidate.notices.push_back(std::move(words));
}

Result<Proposal> Revisions::at_start(LoadedConfig file) {
    Result<std::optional<Revision>> head = store_.head();
    if (!head) return head.error();
    if (*head) head_ = **std::move(head);
    if (!file.sealed.empty()) {
        // It was read before the store was open.
        LoadResult again = parse_config(file.text, file_, environment_, sealed_keys_);
        if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&again)) {
            return Proposal(std::move(*problems));
        }
        file = std::get<LoadedConfig>(std::move(again));
    }
    if (!head_.text_problem.empty() && head_.yaml_sha256 == file.sha256) {
        head_.yaml = file.text;
        head_.text_problem.clear();
    }
    Candidate candidate;
    if (head_.number == 0) {
        std::string sha256 = file.sha256;
        candidate =
            make(std::move(file), Origin{RevisionSource::kStart, {}, {}}, std::move(sha256));
        candidate.revision.summary = "the file, at the first start";
        apply(candidate, head_.overrides);
    } else if (!head_.text_problem.empty()) {
        Proposal proposal = without_head(std::move(file));
        if (!std::holds_alternative<Candidate>(proposal)) return proposal;
        candidate = std::get<Candidate>(std::move(proposal));
    } else if (is_known_file(file.sha256)) {
        LoadResult running = read_again();
        if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&running)) {
            return Proposal(std::move(*problems));
        }
        candidate.loaded = std::get<LoadedConfig>(std::move(running));
        candidate.revision = head_;
        candidate.revision.file_sha256 = file.sha256;
        candidate.kept = true;
        apply(candidate, head_.overrides);
        return Proposal(std::move(candidate));
    } else {
        Proposal proposal = from_file(std::move(file), Origin{RevisionSource::kFile, {}, {}});
        if (!std::holds_alternative<Candidate>(proposal)) return proposal;
        candidate = std::get<Candidate>(std::move(proposal));
    }
    if (count_enabled(candidate.config) == 0) {
        // A start cannot be refused for this: only a running control plane can take an override
        // back.
        candidate.config = candidate.loaded.config;
        candidate.revision.overrides.clear();
        candidate.notices.push_back(
            "every enable and disable by hand has ended: with them no provider would be enabled"
        );
    }
    return Proposal(std::move(candidate));
}

Proposal Revisions::without_head(LoadedConfig file) const {
    std::string sha256 = file.sha256;
    Candidate candidate = make(std::move(file), Origin{RevisionSource::kFile, {}, {}}, std::move(sha256));
    candidate.revision.summary = fmt::format("the file, since revision {} cannot be opened", head_.number);
    candidate.notices.push_back(fmt::format(
        "revision {}, which was in force, cannot be opened, so {} is in force: {}; once that is mended, `balancerctl "
        "config rollback {}` brings the revision back",
        head_.number,
        file_.string(),
        head_.text_problem,
        head_.number
    ));
    apply(candidate, head_.overrides);
    return candidate;
}

Proposal Revisions::from_file(LoadedConfig file, const Origin& origin) const {
    std::string sha256 = file.sha256;
    std::vector<std::string> lost = lost_edits(file);
    Candidate candidate = make(std::move(file), origin, std::move(sha256));
    candidate.revision.summary = summary_of(head_.yaml, candidate.revision.yaml);
    if (!lost.empty()) {
        candidate.notices.push_back(fmt::format(
            "{} has changed and is in force; what had been changed by hand and is not in it is "
            "lost: {}; `balancerctl config rollback {}` brings that state back",
            file_.string(),
            fmt::join(lost, "; "),
            head_.number
        ));
    }
    apply(candidate, head_.overrides);
    return candidate;
}

Proposal Revisions::with_text(std::string yaml, const Origin& origin) const {
    LoadResult loaded = parse_config(yaml, file_, environment_, sealed_keys_);
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&loaded)) {
        return std::move(*problems);
    }
    Candidate candidate =
        make(std::get<LoadedConfig>(std::move(loaded)), origin, head_.file_sha256);
    candidate.revision.summary = summary_of(head_.yaml, yaml);
    apply(candidate, head_.overrides);
    return candidate;
}

Candidate Revisions::with_overrides(
    std::vector<Override> overrides, const Origin& origin, std::string summary
) const {
    Candidate candidate = make(loaded_, origin, head_.file_sha256);
    candidate.revision.summary = std::move(summary);
    apply(candidate, std::move(overrides));
    return candidate;
}

Proposal Revisions::from_revision(const Revision& old, const Origin& origin) const {
    Proposal proposal = with_text(old.yaml, origin);
    if (auto* candidate = std::get_if<Candidate>(&proposal)) {
        candidate->revision.summary = fmt::format(
            "as revision {}: {}",
            old.number,
            old.yaml == head_.yaml ? "the same text" : summary_of(head_.yaml, old.yaml)
        );
        if (old.overrides != head_.overrides) {
            candidate->revision.summary += "; enabled and disabled by hand as it was then";
        }
        candidate->notices.clear();
        apply(*candidate, old.overrides);
    }
    return proposal;
}

LoadResult Revisions::read_again() const {
    return parse_config(head_.yaml, file_, environment_, sealed_keys_);
}

Result<void> Revisions::keep(Candidate candidate) {
    if (candidate.kept) {
        if (candidate.revision.file_sha256 != head_.file_sha256) {
            Result<void> noted = store_.set_head_file(candidate.revision.file_sha256);
            if (!noted) return noted;
        }
    } else {
        Result<std::uint64_t> number = store_.append(candidate.revision);
        if (!number) return number.error();
        candidate.revision.number = *number;
    }
    head_ = std::move(candidate.revision);
    loaded_ = std::move(candidate.loaded);
    return {};
}

void Revisions::refresh(LoadedConfig loaded) {
    loaded_ = std::move(loaded);
}

bool Revisions::is_known_file(std::string_view sha256) const {
    return sha256 == head_.file_sha256 || sha256 == head_.yaml_sha256;
}

Result<void> Revisions::file_saved() {
    return adopt_file(head_.yaml_sha256);
}

Result<void> Revisions::adopt_file(std::string_view sha256) {
    if (sha256 == head_.file_sha256) return {};
    if (Result<void> noted = store_.set_head_file(sha256); !noted) return noted;
    head_.file_sha256 = sha256;
    return {};
}

std::vector<std::string> Revisions::lost_edits(const LoadedConfig& now) const {
    std::vector<std::string> words;
    if (!edited_by_hand()) return words;
    Result<std::optional<std::string>> base = store_.text(head_.file_sha256);
    if (!base || !*base) return {fmt::format("what revision {} says besides", head_.number)};
    Result<YamlTree> from = parse_yaml_tree(**base);
    Result<YamlTree> edited = parse_yaml_tree(head_.yaml);
    Result<YamlTree> tree = parse_yaml_tree(now.text);
    if (!from || !edited || !tree) return words;
    for (const ConfigChange& change : lost_changes(*from, *edited, *tree)) {
        words.push_back(to_string(change));
    }
    return words;
}

Result<void> Revisions::check_revision(std::uint64_t if_revision) const {
    if (if_revision == 0 || if_revision == head_.number) return {};
    if (if_revision > head_.number) {
        return invalid(fmt::format(
            "there is no revision {} yet: revision {} is in force", if_revision, head_.number
        ));
    }
    return invalid(fmt::format(
        "revision {} is not in force any more, {} is (by {}: {}): look at `balancerctl config diff "
        "{}`, then try again with --if-revision {}",
        if_revision,
        head_.number,
        head_.actor.empty() ? std::string(name_of(head_.source)) : head_.actor,
        head_.summary,
        if_revision,
        head_.number
    ));
}

Result<std::string> Revisions::shown(const Revision& revision) const {
    Result<std::string> text = mask_.mask(revision.yaml);
    if (!text) return text;
    if (!text->empty() && !text->ends_with('\n')) *text += '\n';
    for (const Override& entry : revision.overrides) *text += "# " + describe(entry) + '\n';
    return text;
}

std::vector<MovedCredential> Revisions::moved(const std::string& from, const std::string& to) const {
    LoadResult before = parse_config(from, file_, environment_, sealed_keys_);
    LoadResult after = parse_config(to, file_, environment_, sealed_keys_);
    const auto* a = std::get_if<LoadedConfig>(&before);
    const auto* b = std::get_if<LoadedConfig>(&after);
    return a != nullptr && b != nullptr ? moved_credentials(*a, *b) : std::vector<MovedCredential>();
}

std::vector<std::string> Revisions::moved_words(const LoadedConfig& next) const {
    std::vector<std::string> words;
    if (head_.number == 0 || head_.yaml == next.text) return words;
    // At a start nothing is loaded yet.
    for (const MovedCredential& one :
         loaded_.text.empty() ? moved(head_.yaml, next.text) : moved_credentials(loaded_, next)) {
        words.push_back(to_string(one));
    }
    return words;
}

Result<std::string> Revisions::diff(
    const Revision& from, const Revision& to, std::string_view from_name, std::string_view to_name
) const {
    Result<std::string> a = shown(from);
    if (!a) return a;
    Result<std::string> b = shown(to);
    if (!b) return b;
    return unified_diff(*a, *b, from_name, to_name);
}

}  // namespace balancer::controlplane
