namespace LlamaCluster.Text.Templates.Operations;

/// <summary>What Python's strip() and split() take for white space: .NET's characters and the four information separators.</summary>
static class Whitespace
{
    public static bool IsWhitespace(char character) => char.IsWhiteSpace(character) || character is >= '\x1c' and <= '\x1f';

    public static string Trim(string text) => TrimStart(TrimEnd(text));

    public static string TrimStart(string text)
    {
        var start = 0;
        while (start < text.Length && IsWhitespace(text[start])) start++;
        return text[start..];
    }

    public static string TrimEnd(string text)
    {
        var end = text.Length;
        while (end > 0 && IsWhitespace(text[end - 1])) end--;
        return text[..end];
    }
}
