using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>
/// A scheduler with a scripted draft model, in virtual time: a step takes 4 units and one for each of its rows, a drafted token what the test says. The text
/// is known, and the script is right about each of its tokens with a probability.
/// </summary>
public sealed class ModelDraftingTests
{
    [Theory]
    [InlineData(0.7, 0, 1, 1.5)]       // with free drafts of 70 %, (1 + 0.7 + 0.49 + 0.34) / 1.6 = 1.58 is the most there is
    [InlineData(0.7, 0.3, 1, 1.3)]     // each drafted token takes 6 % of a step
    [InlineData(0.9, 0.5, 4, 1.05)]
    public void What_pays_is_drafted(double acceptance, double tokenTime, int streams, double least) =>
        Assert.InRange(Speedup(acceptance, tokenTime, streams), least, 3);

    [Theory]
    [InlineData(0.7, 5, 1)]            // as slow as the model that it drafts for
    [InlineData(0.7, 500, 1)]          // does not answer in time
    [InlineData(0, 0.3, 1)]            // always wrong
    [InlineData(0.3, 0.5, 4)]
    [InlineData(0.7, 0.3, 40)]         // a full step
    public void What_does_not_pay_costs_next_to_nothing(double acceptance, double tokenTime, int streams) =>
        Assert.InRange(Speedup(acceptance, tokenTime, streams), 0.98, 1.05);

    [Fact]
    public void What_comes_to_pay_is_found_out()
    {
        var script = new ScriptedRun(0.7, streams: 1, length: 3000) { TokenTime = 50 };
        script.Run(until: 500);
        var before = script.Drafted;
        script.TokenTime = 0.2;
        script.Run(until: 3000);

        Assert.InRange(before, 0, 40);   // what is late is no draft
        Assert.InRange(script.Drafted, 500, 6000);
    }

    [Fact]
    public void A_count_that_was_asked_for_is_drafted_whether_it_pays_or_not()
    {
        var script = new ScriptedRun(0, streams: 1, length: 200, always: 3) { TokenTime = 5 };
        script.Run(until: 200);

        Assert.InRange(script.Drafted, 3 * 190, 3 * 200);
    }

    [Fact]
    public void A_model_that_is_not_there_is_not_asked_and_not_waited_for()
    {
        var script = new ScriptedRun(1, streams: 1, length: 200) { IsThere = false };
        script.Run(until: 200);

        Assert.Equal(0, script.Drafted);
        Assert.Equal(200 * 5, script.Now, tolerance: 100);
    }

    /// <summary>How much sooner the same text is there.</summary>
    static double Speedup(double acceptance, double tokenTime, int streams)
    {
        const int length = 1200;
        var with = new ScriptedRun(acceptance, streams, length) { TokenTime = tokenTime };
        var without = new ScriptedRun(acceptance, streams, length) { IsThere = false };
        with.Run(length);
        without.Run(length);
        return without.Now / with.Now;
    }

    sealed class ScriptedRun
    {
        const int VocabularySize = 50_000;
        readonly StepScheduler _scheduler;
        readonly PriorityQueue<DraftAnswer, double> _answers = new();
        readonly Random _random = new(7);
        readonly double _acceptance;
        readonly List<SequenceRun> _runs = [];

        public ScriptedRun(double acceptance, int streams, int length, int? always = null)
        {
            _acceptance = acceptance;
            var limits = new SchedulerLimits { StepsInFlight = 1, MaxDraftTokens = 15, DraftTokens = always, MaxRunning = 64, CachePrefixes = false };
            _scheduler = new StepScheduler(limits, new KvBlockPool(64 * 200));
            for (var id = 1; id <= streams; id++)
            {
                _runs.Add(TestSequence.Of((ulong)id, [id, id + 1], length));
                Assert.Equal(AddOutcome.Queued, _scheduler.Add(_runs[^1]));
            }
        }

        /// <summary>What the model takes for a token, in the units of steps' rows.</summary>
        public double TokenTime { get; set; }

        public bool IsThere { get; init; } = true;

        public double Now { get; private set; }

        public long Drafted => _scheduler.Drafted.Tokens(DraftSource.Model);

        /// <summary>Until all streams have so many tokens.</summary>
        public void Run(int until)
        {
            _scheduler.DraftModel.IsReady = IsThere;
            while (_runs.Any(run => run.Sequence.GeneratedLength < until))
            {
                Advance(Now);
                if (_scheduler.Schedule() is { } step)
                {
                    var answered = Now + 4 + step.Rows;
                    DeliverUntil(answered);
                    _scheduler.Complete(step, [.. step.Chunks.Select(Sample)]);
                    Ask();
                }
                else if (_answers.TryPeek(out _, out var next) && next <= DeadlineOf(next)) DeliverUntil(next);
                else Advance(DeadlineOf(Now) + 0.01);
            }
        }

        double DeadlineOf(double otherwise) => _scheduler.DraftModel.Deadline is { } deadline ? deadline.TotalSeconds * 1000 : otherwise;

        void Advance(double now)
        {
            Now = now;
            _scheduler.Advance(TimeSpan.FromSeconds(now / 1000));
        }

        void DeliverUntil(double time)
        {
            while (_answers.TryPeek(out var answer, out var at) && at <= time)
            {
                _answers.Dequeue();
                Advance(Math.Max(Now, at));
                _scheduler.DraftModel.Answer(answer);
            }
            Advance(time);
        }

        void Ask()
        {
            foreach (var question in _scheduler.DraftModel.TakeQuestions())
            {
                var position = question.From + question.Tokens.Length;
                var guesses = Enumerable.Range(position, question.Count).Select(at => _random.NextDouble() < _acceptance ? TokenAt(question.Sequence, at) : 0);
                _answers.Enqueue(new DraftAnswer(question.Sequence, position, [.. guesses]), Now + (question.Count * TokenTime));
            }
        }

        /// <summary>The text; 0 is not in it, and it never repeats itself.</summary>
        static int TokenAt(ulong sequence, int position) => 1 + (int)(((ulong)position + (sequence * 5000)) % (VocabularySize - 1));

        static ChunkResult Sample(ScheduledChunk chunk)
        {
            List<SampledToken> tokens = [];
            for (var i = 0; i < chunk.SampleCount; i++)
            {
                tokens.Add(new SampledToken(TokenAt(chunk.Run.Id, chunk.Start + chunk.Count - chunk.SampleCount + i + 1), 0, []));
                if (i < chunk.Drafts.Count && chunk.Drafts[i] != tokens[^1].Id) break;
            }
            return new ChunkResult(tokens, []);
        }
    }
}
