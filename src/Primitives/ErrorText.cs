using System.Text;

namespace LlamaCluster.Primitives;

/// <summary>Prepares text from a file for an error message: on one line and of bounded length, whatever the text contains.</summary>
public static class ErrorText
{
    const int MaxName = 80;
    const int MaxSentence = 300;

    /// <summary>A name, in quotes.</summary>
    public static string Quote(string name) => $"'{Show(name)}'";

    /// <summary>A name, without quotes.</summary>
    public static string Show(string name) => Show(name, MaxName);

    /// <summary>Another component's message, which may quote parts of the file.</summary>
    public static string Sentence(string message) => Show(message, MaxSentence).TrimEnd('.');

    /// <summary>
    /// A message as one line that does nothing but be read: line ends become spaces, and other control characters, which may steer a terminal, are written
    /// as escapes. Most messages have none, and are returned as they are.
    /// </summary>
    public static string OneLine(string message)
    {
        var line = message.ReplaceLineEndings(" ");
        foreach (var letter in line)
            if (char.IsControl(letter)) return Show(line, int.MaxValue);
        return line;
    }

    static string Show(string text, int maxLength)
    {
        var shown = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (shown.Length >= maxLength) return shown.Append("...").ToString();
            if (Rune.IsControl(rune) || IsLineSeparator(rune)) shown.Append($"\\u{rune.Value:x4}");
            else shown.Append(rune.ToString());
        }
        return shown.ToString();
    }

    static bool IsLineSeparator(Rune rune) => rune.Value is 0x2028 or 0x2029;
}
