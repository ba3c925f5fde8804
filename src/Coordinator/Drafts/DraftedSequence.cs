using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Drafts;

/// <summary>
/// A sequence as the draft model is to see it: the tokens that are known of it, and what was asked last. It outlives pipelines; what one has of it is its
/// <see cref="Run"/>. A token that the sequence draws by chance is guessed with the same random number, which is a hash of seed and position, so where both
/// models think alike they draw alike.
/// </summary>
sealed class DraftedSequence
{
    readonly SequenceRequest _request;
    readonly List<int> _known;   // behind the prompt
    int _changedFrom;            // the run's tokens from this position on may be others
    int _count;
    Action<DraftAnswer>? _answer;
    bool _hasEnded;

    public DraftedSequence(DraftQuestion question, int maxPositions)
    {
        (Id, _known) = (question.Sequence, []);
        var request = question.Request;
        // Grammars, ends and reports are matters of those who verify.
        _request = new SequenceRequest(
            request.Prompt, request.Sampling with { TopLogprobs = null, PromptLogprobs = false },
            Math.Max(0, maxPositions - request.Prompt.Count), new HashSet<int>())
        { MaxTokensIsDefault = true, RequestId = request.RequestId };
        StopIds = request.StopIds;
    }

    public ulong Id { get; }

    /// <summary>Null while no pipeline has it.</summary>
    public SequenceRun? Run { get; private set; }

    IReadOnlySet<int> StopIds { get; }

    int PromptLength => _request.Prompt.Count;

    int Known => PromptLength + _known.Count;

    /// <summary>The draft model was made for as many tokens as are known and wanted, and no run of it has failed.</summary>
    public bool CanGoOn => !_hasEnded && _request.MaxTokens > _known.Count + _count;

    public static DraftAnswer NoAnswer(DraftQuestion question) => new(question.Sequence, question.From + question.Tokens.Length, []);

    /// <summary>Takes in a question. One that is open is dropped: whoever asked it is gone.</summary>
    public void Ask(DraftQuestion question, Action<DraftAnswer> answer)
    {
        var first = question.From - PromptLength;
        _known.RemoveRange(first, _known.Count - first);
        _known.AddRange(question.Tokens);
        _changedFrom = Math.Min(_changedFrom, question.From);
        (_count, _answer) = (question.Count, answer);
    }

    /// <summary>Answers without tokens if a question is open.</summary>
    public void GiveUp() => Answer([]);

    /// <summary>A scheduler that knows nothing of it yet has it from now on.</summary>
    /// <param name="positions">That it has room for.</param>
    /// <param name="wake">Called from any thread when it can be scheduled, if that is not yet so.</param>
    public SequenceRun BeginRun(long positions, TimeProvider time, Action wake)
    {
        _changedFrom = int.MaxValue;
        var sequence = new Sequence(Id, _request with { SoFar = new SequenceSoFar([.. _known], 0) }, time);
        sequence.Fit(positions);
        var keys = PromptKeys.Of(_request, "");   // of a pool that has blocks of this model only
        keys.ComputeSoon(wake);
        return Run = new SequenceRun(sequence, keys) { IsProvisional = true };
    }

    /// <summary>No scheduler has it any more.</summary>
    /// <param name="forGood">It has come to the end of its room, or failed.</param>
    public void EndRun(bool forGood = false)
    {
        (Run, _hasEnded) = (null, _hasEnded || forGood);
        GiveUp();
    }

    /// <summary>Has the run, if it is in no step, go on with what is known, and answers if it has drafted as much as is wanted.</summary>
    public void Update(StepScheduler scheduler)
    {
        if (Run is null || Run.StepsInFlight > 0) return;
        if (_changedFrom < int.MaxValue)
        {
            var from = Math.Min(_changedFrom, Run.Tokens.Count);
            scheduler.Rewrite(Run, from, _known[(from - PromptLength)..]);
            _changedFrom = int.MaxValue;
        }
        if (_answer is null) return;
        var drafted = Run.Tokens.Count - Known;
        // What is only to be computed is done when all but the last token is, whose turn comes with the next question.
        var isDone = _count == 0 ? Run.Unscheduled <= 1 : drafted >= _count || (drafted > 0 && StopIds.Contains(Run.Tokens[Run.Tokens.Count - 1]));
        if (!isDone)
        {
            scheduler.Resume(Run);
            return;
        }
        scheduler.Pause(Run);
        Answer([.. Run.Tokens.Skip(Known).Take(_count)]);
    }

    void Answer(int[] tokens)
    {
        var answer = _answer;
        _answer = null;
        answer?.Invoke(new DraftAnswer(Id, Known, tokens));
    }
}
