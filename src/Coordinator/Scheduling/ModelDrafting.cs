using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Decides when the draft model is asked, for how many tokens, and for how long its answer is waited for. It is asked as a step returns, for all streams of
/// that step whose text and grammar suggest nothing themselves. These streams are in no further step until all answers are there, so that they stay together,
/// while steps of other streams go on. After the deadline they go on without.
/// <para>
/// It follows from the sequences' acceptance, and from what steps and drafted tokens were measured to take (<see cref="DraftCosts"/>), whether drafts pay.
/// Where they do not, one stream tries them now and then, more and more seldom. Where they do, a step is now and then left without, to know what it takes.
/// </para>
/// </summary>
/// <param name="most">Tokens drafted for a stream at a time.</param>
/// <param name="always">Tokens that are drafted whether they pay or not; null: as many as pay.</param>
sealed class ModelDrafting(int most, int? always = null)
{
    /// <summary>What the model has yet to compute is waited for up to so many tokens; more are told ahead, and the stream goes on meanwhile.</summary>
    const int LongestWaitedFor = 24;

    /// <summary>So many tokens are drafted to find out whether drafts pay.</summary>
    const int TriedTokens = 2;

    const int FirstPause = 64;   // returned steps between two tries
    const int LongestPause = 2048;
    const int PlainEvery = 64;   // rounds between two that are left out
    static readonly TimeSpan Slack = TimeSpan.FromMilliseconds(1);

    /// <summary>Drafts that are wanted whether they pay or not are waited for at least so long: only a worker that stands still takes longer.</summary>
    static readonly TimeSpan PatienceWithAlways = TimeSpan.FromMilliseconds(250);

    readonly DraftCosts _costs = new();
    readonly Dictionary<ulong, Open> _open = [];
    readonly List<DraftRound> _rounds = [];
    List<DraftQuestion> _questions = [];
    int _untilTry, _untilPlain = PlainEvery, _pause = FirstPause;

    sealed record Open(SequenceRun Run, DraftRound? Round, TimeSpan Asked, int Count);

    /// <summary>The model can be asked.</summary>
    public bool IsReady { get; set; }

    /// <summary>The time since any fixed moment.</summary>
    public TimeSpan Now { get; set; }

    /// <summary>How sequences of this model usually fare; new ones begin with it.</summary>
    public AcceptanceRate Acceptance { get; } = new(0.7, weight: 1.0 / 64);

    /// <summary>When streams go on without the answers that they wait for; null: none waits.</summary>
    public TimeSpan? Deadline
    {
        get
        {
            _rounds.RemoveAll(round => !round.IsOpen);
            return _rounds.Count == 0 ? null : _rounds.Min(round => round.Deadline);
        }
    }

    /// <summary>What the model is to be asked since this was last called.</summary>
    public IReadOnlyList<DraftQuestion> TakeQuestions()
    {
        if (_questions.Count == 0) return [];
        var questions = _questions;
        _questions = [];
        return questions;
    }

    /// <summary>Whether a stream is in no step because drafts for it are on their way.</summary>
    public bool Awaits(SequenceRun run)
    {
        if (run.Drafter.Round is not { IsOpen: true } round) return false;
        if (Now < round.Deadline) return true;
        // A try that is late says little: its answer may still come, and says more.
        foreach (var open in _open.Values)
            if (open.Round == round && !round.IsTry) _costs.Drafted((Now - open.Asked).TotalSeconds, open.Count);
        round.Close();
        return false;
    }

    /// <summary>The model has answered.</summary>
    public void Answer(DraftAnswer answer)
    {
        if (!_open.Remove(answer.Sequence, out var open)) return;
        open.Run.Drafter.Given = answer.Tokens.Length > 0 ? answer : null;
        if (open.Round is not { } round) return;
        if (answer.Tokens.Length > 0) _costs.Drafted((Now - open.Asked).TotalSeconds, answer.Tokens.Length, round.IsTry);
        round.Came();
    }

    /// <summary>A sequence has left the scheduler.</summary>
    public void Forget(SequenceRun run)
    {
        if (_open.Remove(run.Id, out var open)) open.Round?.Came();
    }

    /// <summary>Drafts of the model were verified.</summary>
    public void Verified(int drafted, int accepted)
    {
        Acceptance.Verified(drafted, accepted);
        if (accepted == drafted) _pause = FirstPause;
    }

    /// <summary>A step has returned, and its sequences have their tokens. Learns from it, and asks for their next ones.</summary>
    public void Returned(ScheduledStep step)
    {
        List<SequenceRun> streams = [];
        var (drafts, isOfStreams) = (0, true);
        foreach (var chunk in step.Chunks)
        {
            drafts += chunk.Drafts.Count;
            isOfStreams &= chunk.SampleCount > 0 && chunk.Count == chunk.SampleCount;
            if (chunk.Run is { Ended: false, Paused: false, Unscheduled: 1 } run && chunk.SampleCount > 0) streams.Add(run);
        }
        if (isOfStreams) _costs.Returned((Now - step.SentAt).TotalSeconds, step.Chunks.Count, drafts);
        _untilTry--;
        if (IsReady && streams.Count > 0) Ask(streams);
    }

    void Ask(List<SequenceRun> streams)
    {
        List<(SequenceRun Run, int Count)> asked = [];
        foreach (var run in streams)
        {
            var wanted = (int)Math.Min(most, run.MaxTokens - run.Sequence.GeneratedLength - 1L);
            if (run.Sequence.Request.Adapter?.OwnVocabulary is not null) continue;   // its tokens are not the draft model's
            if (wanted <= 0 || _open.ContainsKey(run.Id) || run.Drafter.HasOwn(run.Tokens, run.Sampling.IsGreedy)) continue;
            var rate = run.Drafter.ModelAcceptance ??= new AcceptanceRate(Acceptance.Value);
            var count = CountFor(rate.Value, streams.Count, wanted);
            if (count == 0 && _untilTry <= 0) Try(run, streams.Count, Math.Min(TriedTokens, wanted));
            else if (count > 0 && Behind(run) > LongestWaitedFor) Add(run, 0, null);
            else if (count > 0) asked.Add((run, count));
        }
        if (asked.Count == 0) return;
        if (always is null && --_untilPlain == 0) _untilPlain = PlainEvery;
        else Await(streams, asked, PatienceFor(asked.Max(one => one.Count)));
    }

    TimeSpan PatienceFor(int tokens)
    {
        var usual = Slack + TimeSpan.FromSeconds(2 * tokens * (_costs.Token ?? 0));
        return always is null || usual > PatienceWithAlways ? usual : PatienceWithAlways;
    }

    /// <returns>0: none are to be drafted.</returns>
    int CountFor(double acceptance, int streams, int most) =>
        always is { } count ? Math.Min(count, most)
        : _costs.Token is null ? 0
        : _costs.Best(acceptance, streams, most);

    /// <summary>Finds out whether drafts have come to pay, if they could.</summary>
    void Try(SequenceRun run, int streams, int count)
    {
        var step = _costs.Step(streams);
        if (step == 0 || _costs.Best(1, streams, most, isFree: true) == 0) return;
        if (Behind(run) > LongestWaitedFor)
        {
            Add(run, 0, null);
            return;
        }
        (_untilTry, _pause) = (_pause, Math.Min(LongestPause, 2 * _pause));
        Await([run], [(run, count)], TimeSpan.FromSeconds(step), isTry: true);
    }

    void Await(IReadOnlyList<SequenceRun> streams, IReadOnlyList<(SequenceRun Run, int Count)> asked, TimeSpan patience, bool isTry = false)
    {
        var round = new DraftRound(Now + patience, asked.Count, isTry);
        foreach (var run in streams) run.Drafter.Round = round;
        foreach (var (run, count) in asked) Add(run, count, round);
        _rounds.Add(round);
    }

    /// <summary>Tokens that the model has not been told.</summary>
    static int Behind(SequenceRun run) => run.Tokens.Count - run.Drafter.Told;

    void Add(SequenceRun run, int count, DraftRound? round)
    {
        var from = Math.Max(run.Drafter.Told, run.Sequence.PromptLength);
        var tokens = new int[run.Tokens.Count - from];
        for (var i = 0; i < tokens.Length; i++) tokens[i] = run.Tokens[from + i];
        run.Drafter.Told = run.Tokens.Count;
        _open.Add(run.Id, new Open(run, round, Now, count));
        _questions.Add(new DraftQuestion(run.Id, run.Sequence.Request, from, tokens, count));
    }
}

/// <summary>Streams that wait together for the draft model's answers.</summary>
/// <param name="deadline">They go on without what has not come by then.</param>
/// <param name="awaited">Answers that are to come.</param>
/// <param name="isTry">It is asked to find out whether drafts pay.</param>
sealed class DraftRound(TimeSpan deadline, int awaited, bool isTry)
{
    int _awaited = awaited;

    public TimeSpan Deadline { get; } = deadline;

    public bool IsTry => isTry;

    public bool IsOpen { get; private set; } = true;

    /// <summary>An answer has come, or will not.</summary>
    public void Came()
    {
        if (--_awaited == 0) IsOpen = false;
    }

    /// <summary>It is not waited for any more.</summary>
    public void Close() => IsOpen = false;
}
