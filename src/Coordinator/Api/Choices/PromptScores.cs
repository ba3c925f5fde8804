using System.Text;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Primitives;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>Places the log-probabilities of an echoed prompt in its text.</summary>
static class PromptScores
{
    /// <param name="scored">The prompt's tokens from the second on.</param>
    public static IReadOnlyList<TokenScore> Place(EncodedPrompt prompt, IReadOnlyList<SampledToken> scored, ITokenizer tokenizer)
    {
        var text = Encoding.UTF8.GetBytes(prompt.Text);
        var places = new List<TokenScore>(prompt.Ids.Count);
        var (at, characters) = (0, 0);
        foreach (var (index, id) in prompt.Ids.Index())
        {
            var token = index == 0 ? new SampledToken(id, float.NaN, []) : scored[index - 1];
            places.Add(new(token, characters, Known: index > 0));
            var length = LengthIn(text.AsSpan(at), tokenizer.BytesOf(id).Span);
            characters += CharactersBegun(text.AsSpan(at, length));
            at += length;
        }
        return places;
    }

    /// <summary>Bytes of the text that the token stands for: none for a bos that the text does not show, all but the space that SentencePiece puts in front.</summary>
    static int LengthIn(ReadOnlySpan<byte> text, ReadOnlySpan<byte> token)
    {
        if (text.StartsWith(token)) return token.Length;
        return token is [(byte)' ', .. var rest] && text.StartsWith(rest) ? rest.Length : 0;
    }

    static int CharactersBegun(ReadOnlySpan<byte> utf8)
    {
        var count = 0;
        foreach (var unit in utf8)
            if ((unit & 0xC0) != 0x80) count++;
        return count;
    }
}
