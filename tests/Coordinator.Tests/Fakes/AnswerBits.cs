using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>All of an answer that must be the same bit for bit: ids, log-probabilities, what else was likely, how it ended, and those of the prompt.</summary>
static class AnswerBits
{
    public static IReadOnlyList<string> Of(IEnumerable<SequenceEvent> events) =>
    [
        .. events.Select(happened => happened switch
        {
            SequenceEvent.Token { Sampled: var token } => $"{token.Id} {token.Logprob} {string.Join(' ', token.Top)}",
            SequenceEvent.Finished { Reason: var reason } => $"{reason}",
            SequenceEvent.Failed { Message: var message } => message,
            _ => "",
        }).Where(text => text.Length > 0),
        .. events.OfType<SequenceEvent.Prompt>().SelectMany(part => part.Tokens).Select(token => $"{token.Id} {token.Logprob}"),
    ];
}
