using LlamaCluster.Text;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Drafting;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// The forms that answers must have, to guess what they force. Workers enforce a form; here it only saves steps. Grammars are compiled by whoever submits a
/// request, most of them long before: the API has looked at each.
/// </summary>
/// <param name="grammars">Safe for concurrent use, and shared.</param>
public sealed class AnswerForms(GrammarCache grammars, ITokenizer tokenizer)
{
    readonly DraftTokens _tokens = new(tokenizer);

    /// <summary>Finds a form. Safe for concurrent use.</summary>
    /// <returns>Begins to follow the form of one answer, for the replica's loop; null where the grammar cannot be enforced.</returns>
    public Func<ForcedText>? Find(GrammarSource source) =>
        grammars.Compile(source).Grammar is { } grammar ? () => new ForcedText(grammar, _tokens) : null;
}
