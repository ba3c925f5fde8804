using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>What clients feel: how long their sequences wait, begin, go on and last, and how long they are.</summary>
public sealed class SequenceMetrics
{
    readonly Func<string, ReplicaTotals> _of;
    readonly Histogram<double> _firstToken;
    readonly Histogram<double> _interToken;
    readonly Histogram<double> _perToken;
    readonly Histogram<double> _duration;
    readonly Histogram<double> _queue;
    readonly Histogram<double> _prefill;
    readonly Histogram<double> _decode;
    readonly Histogram<int> _promptLength;
    readonly Histogram<int> _answerLength;

    /// <param name="of">What is counted of a replica.</param>
    internal SequenceMetrics(Meter meter, Func<string, ReplicaTotals> of)
    {
        _of = of;
        _firstToken = meter.Histogram<double>(CoordinatorMetricTable.FirstToken);
        _interToken = meter.Histogram<double>(CoordinatorMetricTable.InterToken);
        _perToken = meter.Histogram<double>(CoordinatorMetricTable.TimePerToken);
        _duration = meter.Histogram<double>(CoordinatorMetricTable.SequenceDuration);
        _queue = meter.Histogram<double>(CoordinatorMetricTable.QueueDuration);
        _prefill = meter.Histogram<double>(CoordinatorMetricTable.PrefillDuration);
        _decode = meter.Histogram<double>(CoordinatorMetricTable.DecodeDuration);
        _promptLength = meter.Histogram<int>(CoordinatorMetricTable.PromptLength);
        _answerLength = meter.Histogram<int>(CoordinatorMetricTable.AnswerLength);
    }

    /// <summary>Tokens were generated. To be called once a step for each of its sequences, with the tokens appended.</summary>
    /// <param name="tokens">How many; with 0 nothing happens.</param>
    /// <param name="now">A timestamp.</param>
    internal void Advanced(string replica, Sequence sequence, int tokens, long now)
    {
        if (tokens == 0) return;
        var totals = _of(replica);
        var since = sequence.Generated(now).TotalSeconds;
        totals.Generated.Add(tokens);
        if (tokens == sequence.GeneratedLength)
        {
            _firstToken.Record(since, totals.Labels);
            totals.FirstTokens.Add(TimeSpan.FromSeconds(since));
            totals.Prompts.Add(sequence.PromptLength);
            return;
        }
        for (var i = 0; i < tokens; i++) _interToken.Record(since / tokens, totals.Labels);
    }

    /// <summary>
    /// A sequence ended, and so does its part of a trace. How long its parts took is recorded if it came to its first token and did not fail.
    /// </summary>
    /// <param name="outcome">One of <see cref="SequenceOutcome"/>.</param>
    /// <param name="sequence">Null if it was refused before it was made one.</param>
    internal void Ended(string replica, string outcome, Sequence? sequence)
    {
        var totals = _of(replica);
        totals.Ended[outcome].Add(1);
        sequence?.End(outcome);
        if (outcome is SequenceOutcome.Failed or SequenceOutcome.Refused) return;
        if (sequence?.Times is not { Begun: { } begun, FirstToken: { } first, LastToken: { } last }) return;
        var labels = totals.Labels;
        _queue.Record(begun.TotalSeconds, labels);
        _prefill.Record((first - begun).TotalSeconds, labels);
        _decode.Record((last - first).TotalSeconds, labels);
        _duration.Record(last.TotalSeconds, labels);
        _promptLength.Record(sequence.PromptLength, labels);
        _answerLength.Record(sequence.GeneratedLength, labels);
        if (sequence.GeneratedLength <= 1) return;
        var perToken = (last - first) / (sequence.GeneratedLength - 1);
        _perToken.Record(perToken.TotalSeconds, labels);
        totals.TimesPerToken.Add(perToken);
    }
}
