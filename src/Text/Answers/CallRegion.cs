
namespace LlamaCluster.Text.Answers;

/// <summary>What a region makes of a character.</summary>
enum Reading
{
    /// <summary>It belongs to the region, which goes on.</summary>
    Within,

    /// <summary>The region ends with it.</summary>
    Ended,

    /// <summary>The region ended before it.</summary>
    EndedBefore,

    /// <summary>The region is no call after all. The character, and what of the region no call has used, is text.</summary>
    Refused,
}

/// <summary>
/// A part of an answer that holds calls, read character by character. What it finds goes to a <see cref="PieceWriter"/>. Once a call has begun,
/// clients know of it; a region that is damaged behind that point ends the call where it stands.
/// </summary>
abstract class CallRegion(PieceWriter pieces)
{
    /// <summary>Characters of the longest name. A longer one is no name.</summary>
    protected const int LongestName = 128;

    protected PieceWriter Pieces { get; } = pieces;

    public abstract Reading Take(char letter);

    /// <summary>No more text comes.</summary>
    public virtual void End() => Pieces.EndCall();

    /// <summary>The text is not what it should be.</summary>
    protected Reading Broken()
    {
        if (!Pieces.InCall) return Reading.Refused;
        Pieces.EndCall();
        return Reading.EndedBefore;
    }

    protected static bool IsNameLetter(char letter) => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or '.';
}

/// <summary>Which names a region takes for functions.</summary>
/// <param name="Any">Marks show that it is a call, so that a name which is not known is one too: whoever runs the functions can say so.</param>
sealed record FunctionNames(IReadOnlySet<string> Known, bool Any)
{
    public bool Allow(string name) => name.Length > 0 && (Any || Known.Contains(name));
}
