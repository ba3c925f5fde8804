namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>
/// Finds text in text. What is looked at is counted, so that a search ends within the budget however the two texts repeat themselves: a
/// plain search for a long text in one that nearly holds it at every place takes the product of their lengths.
/// </summary>
static class TextSearch
{
    // So much is left to .NET's search. What follows it is compared here, place by place.
    const int Head = 16;

    /// <summary>Where <paramref name="wanted"/> stands first; -1 if it does not. Empty text stands at the start.</summary>
    public static int IndexOf(ReadOnlySpan<char> text, ReadOnlySpan<char> wanted, Budget budget)
    {
        var head = wanted[..Math.Min(Head, wanted.Length)];
        for (var from = 0; ;)
        {
            var skipped = text[from..].IndexOf(head);
            budget.SpendOnText(skipped < 0 ? text.Length - from : skipped + head.Length);
            if (skipped < 0) return -1;
            from += skipped;
            if (text.Length - from < wanted.Length) return -1;
            if (IsAt(text, from, wanted, head.Length, budget)) return from;
            from++;
        }
    }

    /// <summary>Where <paramref name="wanted"/> stands last; -1 if it does not. Empty text stands at the end.</summary>
    public static int LastIndexOf(ReadOnlySpan<char> text, ReadOnlySpan<char> wanted, Budget budget)
    {
        if (wanted.IsEmpty) return text.Length;
        var tail = wanted[^Math.Min(Head, wanted.Length)..];
        for (var end = text.Length; ;)
        {
            var at = text[..end].LastIndexOf(tail);
            budget.SpendOnText(at < 0 ? end : end - at);
            var start = at + tail.Length - wanted.Length;
            if (at < 0 || start < 0) return -1;
            if (IsAt(text, start, wanted, tail.Length, budget)) return start;
            end = at + tail.Length - 1;
        }
    }

    /// <summary>How often <paramref name="wanted"/>, which is not empty, stands in the text without overlap.</summary>
    public static int Count(ReadOnlySpan<char> text, ReadOnlySpan<char> wanted, Budget budget)
    {
        var count = 0;
        for (; IndexOf(text, wanted, budget) is >= 0 and var at; text = text[(at + wanted.Length)..]) count++;
        return count;
    }

    static bool IsAt(ReadOnlySpan<char> text, int start, ReadOnlySpan<char> wanted, int known, Budget budget)
    {
        if (known == wanted.Length) return true;
        var same = text[start..].CommonPrefixLength(wanted);
        budget.SpendOnText(same);
        return same == wanted.Length;
    }
}
