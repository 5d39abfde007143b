// What the sampler on the device is told and tells, shared by Swift, the kernel and its emulation. The rules are those
// of RowSampler among the CPU's sources (D12).
#ifndef MARTLET_CCUDA_SAMPLING_H
#define MARTLET_CCUDA_SAMPLING_H

/// How to choose the token of one row.
typedef struct {
    /// 0: the best.
    float temperature;
    float top_p;
    /// 0: all.
    int top_k;
    /// Ids that may be chosen are below.
    int vocabulary_count;
    /// The least weight that may be drawn, in units of 2^-40 of the best token's: min-p rounded up. 0: any.
    unsigned long long least;
    unsigned long long seed;
    unsigned int choice;
    unsigned int position;
    float repetition;
    float frequency;
    float presence;
    /// The row's edits are edit_first ..< edit_first + edit_count of the step's.
    int edit_first;
    int edit_count;
    /// Whether only tokens whose edit says so may be chosen.
    int only_allowed;
    /// How many of the best tokens to tell; -1: no probabilities at all.
    int logprob_count;
    /// Where the token is kept, for rows that begin with it; -1: nowhere.
    int place;
    /// Whether the token kept there until now was generated, too, and is not counted by the edits.
    int counts_kept;
} martlet_sample_request;

enum {
    /// Takes the repetition penalty.
    MARTLET_EDIT_REPEATED = 1,
    MARTLET_EDIT_BIASED = 2,
    MARTLET_EDIT_BANNED = 4,
    MARTLET_EDIT_ALLOWED = 8,
};

/// What happens to one token's logit, in this order: repetition, frequency and presence penalty, bias, masks. An id has
/// one edit at most; ids past the row's are ignored.
typedef struct {
    unsigned int id;
    unsigned int flags;
    /// How often the token was generated; penalties of frequency and presence, if at all.
    int count;
    float bias;
} martlet_sample_edit;

typedef struct {
    /// -1: the row holds a NaN or no finite largest logit, or nothing may be chosen; then the rest is undefined.
    int token;
    /// The chosen token's, and the row's largest, before any edit.
    float logit;
    float maximum;
    /// How many of the best tokens were told.
    int top_count;
    /// If probabilities were asked for: the weights of all logits, padding included, at temperature 1 in units of 2^-40
    /// of the largest. A log-probability is logit - maximum - log(total / 2^40).
    unsigned long long total;
} martlet_sample_result;

#endif
