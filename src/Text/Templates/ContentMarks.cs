using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LlamaCluster.Text.Templates;

/// <summary>
/// Finds out which characters of a prompt came from a conversation's content, as far as special tokens can be made of them. Characters of the content that
/// could be part of one are replaced by others of the same length that mean nothing to a template, and what the template makes of that is laid over what it
/// makes of the real content: the prompts differ where the content is. So it works with whatever a template does to texts, from trimming to joining pieces.
/// Most conversations have no such characters, and cost nothing more than a look at their texts.
/// </summary>
public sealed class ContentMarks
{
    /// <summary>Unicode's area for private use: no template asks for it.</summary>
    const char FirstStandIn = '\uE000', LastStandIn = '\uF8FF';

    /// <summary>Fields whose values a template compares with its own words. A special token in full is marked there too, its pieces are not.</summary>
    static readonly string[] Names = ["role", "type"];

    const char Between = '\0';

    readonly SearchValues<string> _whole;
    readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _beginnings, _ends;
    readonly string _all;
    readonly int _longest;

    /// <param name="special">The written forms of all special tokens.</param>
    public ContentMarks(IEnumerable<string> special)
    {
        string[] words = [.. special.Where(word => word.Length > 0)];
        _whole = SearchValues.Create(words, StringComparison.Ordinal);
        _beginnings = Lookup(words.SelectMany(word => Enumerable.Range(1, word.Length - 1).Select(length => word[..length])));
        _ends = Lookup(words.SelectMany(word => Enumerable.Range(1, word.Length - 1).Select(length => word[^length..])));
        _all = string.Join(Between, words);
        _longest = words.Length == 0 ? 0 : words.Max(word => word.Length);
    }

    /// <summary>The same conversation with marks in the place of what could be of a special token; null: nothing of it could.</summary>
    public MarkedInput? Mark(ChatTemplateInput input)
    {
        if (_longest == 0) return null;
        var finding = new Marking(this);
        foreach (var node in Nodes(input)) finding.Look(node);
        if (!finding.IsNeeded) return null;
        return new MarkedInput(input with
        {
            Messages = finding.Replace(input.Messages)!,
            Tools = finding.Replace(input.Tools),
            Variables = input.Variables.ToDictionary(variable => variable.Key, variable => finding.Replace(variable.Value)),
        }, finding.Meaning);
    }

    static IEnumerable<JsonNode?> Nodes(ChatTemplateInput input) => [input.Messages, input.Tools, .. input.Variables.Values];

    /// <summary>Indices of the characters of a text that are to be marked.</summary>
    /// <param name="pieces">The text may be a piece out of the middle of a special token.</param>
    List<int> Risks(string text, bool pieces)
    {
        List<int> found = [];
        for (var from = 0; text.AsSpan(from).IndexOfAny(_whole) is >= 0 and var at; from += at + 1) found.Add(from + at);
        // The end may begin one that what follows completes, and the beginning may complete one that what precedes begins.
        for (var length = Math.Min(text.Length, _longest - 1); length > 0; length--)
        {
            if (_beginnings.Contains(text.AsSpan(text.Length - length))) found.Add(text.Length - length);
            if (_ends.Contains(text.AsSpan(0, length))) found.Add(length - 1);
        }
        if (pieces && text.Length > 0 && text.Length < _longest && _all.Contains(text, StringComparison.Ordinal)) found.Add(0);
        found.RemoveAll(index => char.IsSurrogate(text[index]));
        return found;
    }

    static HashSet<string>.AlternateLookup<ReadOnlySpan<char>> Lookup(IEnumerable<string> words) => words.ToHashSet().GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>One conversation on its way to being marked.</summary>
    sealed class Marking(ContentMarks marks)
    {
        readonly HashSet<char> _taken = [];
        readonly Dictionary<char, char> _standIns = [];
        char _next = FirstStandIn;

        public bool IsNeeded { get; private set; }

        /// <summary>What each stand-in stands for.</summary>
        public Dictionary<char, char> Meaning { get; } = [];

        /// <summary>Learns which stand-ins the conversation has itself, and whether any are needed.</summary>
        public void Look(JsonNode? node, string field = "")
        {
            switch (node)
            {
                case JsonObject fields:
                    foreach (var (name, value) in fields)
                    {
                        LookAt(name, pieces: false);
                        Look(value, name);
                    }
                    break;
                case JsonArray items:
                    foreach (var item in items) Look(item, field);
                    break;
                case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                    LookAt((string)value!, !Names.Contains(field));
                    break;
            }
        }

        public JsonNode? Replace(JsonNode? node, string field = "") => node switch
        {
            JsonObject fields => new JsonObject(
                fields.Select(entry => KeyValuePair.Create(Replace(entry.Key, pieces: false), Replace(entry.Value, entry.Key)))),
            JsonArray items => new JsonArray([.. items.Select(item => Replace(item, field))]),
            JsonValue value when value.GetValueKind() == JsonValueKind.String => JsonValue.Create(Replace((string)value!, !Names.Contains(field))),
            _ => node?.DeepClone(),
        };

        void LookAt(string text, bool pieces)
        {
            if (text.AsSpan().ContainsAnyInRange(FirstStandIn, LastStandIn))
                foreach (var letter in text)
                    if (letter is >= FirstStandIn and <= LastStandIn) _taken.Add(letter);
            IsNeeded = IsNeeded || marks.Risks(text, pieces).Count > 0;
        }

        string Replace(string text, bool pieces)
        {
            var risks = marks.Risks(text, pieces);
            if (risks.Count == 0) return text;
            var letters = text.ToCharArray();
            foreach (var index in risks) letters[index] = StandInFor(text[index]);
            return new string(letters);
        }

        char StandInFor(char letter)
        {
            if (_standIns.TryGetValue(letter, out var known)) return known;
            while (_taken.Contains(_next)) _next++;
            if (_next > LastStandIn)
                throw new ChatTemplateException("the conversation has all characters of Unicode's area for private use", 1, raisedByTemplate: true);
            Meaning[_next] = letter;
            return _standIns[letter] = _next++;
        }
    }
}

/// <summary>A conversation with marks, and what they stand for.</summary>
/// <param name="Meaning">The character that each stand-in stands for.</param>
public sealed record MarkedInput(ChatTemplateInput Input, IReadOnlyDictionary<char, char> Meaning)
{
    /// <summary>Where marks have come to stand in the prompt.</summary>
    /// <param name="prompt">Of the conversation as it is.</param>
    /// <param name="marked">Of <see cref="Input"/>.</param>
    /// <returns>Null if the template made another prompt of it in other ways too: it looks at the very characters that are marked.</returns>
    public PromptText? Lay(string prompt, string marked)
    {
        if (prompt.Length != marked.Length) return null;
        List<int> words = [];
        for (var i = 0; i < prompt.Length; i++)
        {
            if (prompt[i] == marked[i]) continue;
            if (!Meaning.TryGetValue(marked[i], out var letter) || letter != prompt[i]) return null;
            words.Add(i);
        }
        return new PromptText(prompt, words);
    }
}
