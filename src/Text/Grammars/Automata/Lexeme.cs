using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>What <see cref="Lexeme.MaskKey"/> gives: states with equal keys accept the same tokens.</summary>
/// <param name="Family">Lexemes of one family give equal keys for equal states, whichever grammar they are of.</param>
readonly record struct LexemeKey(UInt128 Family, long State);

/// <summary>
/// A part of an answer that is recognised byte by byte without looking at what is around it: a deterministic automaton. -1 is no state. From every
/// state a final one can be reached. Immutable.
/// </summary>
abstract class Lexeme
{
    public abstract int Start { get; }

    public abstract int Next(int state, byte value);

    /// <summary>The lexeme may end here.</summary>
    public abstract bool IsFinal(int state);

    /// <summary>The lexeme may go on.</summary>
    public abstract bool GoesOn(int state);

    /// <param name="longest">Bytes of the longest token: states that differ only after so many bytes may have the same key.</param>
    public abstract LexemeKey MaskKey(int state, int longest);

    /// <summary>About what it takes.</summary>
    public virtual long Bytes => 64;

    /// <summary>
    /// How many plain characters (<see cref="PlainText"/>), whichever they are, may follow before none may; null: that differs from character to character.
    /// </summary>
    public virtual int? PlainCharacters(int state) => null;
}

/// <summary>A lexeme given by the table of its states.</summary>
sealed class TableLexeme : Lexeme
{
    readonly byte[] _classes;
    readonly int[] _next;
    readonly bool[] _finals;
    readonly bool[] _goesOn;
    readonly int _width;
    readonly UInt128 _family;

    /// <param name="rows">For each state the next state by byte; 256 in each.</param>
    public TableLexeme(IReadOnlyList<int[]> rows, IReadOnlyList<bool> finals, WorkBudget budget)
    {
        budget.Spend(rows.Count * 400L);
        (_classes, var firsts) = Divide(rows);
        _width = firsts.Length;
        budget.Spend((long)rows.Count * _width * 15);
        budget.Allocate((long)rows.Count * ((_width * sizeof(int)) + 2));
        _next = new int[rows.Count * _width];
        for (var state = 0; state < rows.Count; state++)
            for (var c = 0; c < _width; c++) _next[(state * _width) + c] = rows[state][firsts[c]];
        _finals = [.. finals];
        _goesOn = [.. rows.Select(row => row.AsSpan().ContainsAnyExcept(-1))];
        _family = FamilyOf();
    }

    public override int Start => 0;

    public override long Bytes => _classes.Length + ((long)_next.Length * sizeof(int)) + (2L * _finals.Length);

    public int StateCount => _finals.Length;

    public override int Next(int state, byte value) => _next[(state * _width) + _classes[value]];

    public override bool IsFinal(int state) => _finals[state];

    public override bool GoesOn(int state) => _goesOn[state];

    public override LexemeKey MaskKey(int state, int longest) => new(_family, state);

    /// <summary>
    /// Bytes that lead to the same state from everywhere are of one class. Each row divides the classes further of which it leads to several states.
    /// </summary>
    /// <returns>The class of each byte, and of each class its first byte.</returns>
    static (byte[] Classes, int[] Firsts) Divide(IReadOnlyList<int[]> rows)
    {
        var (classes, firsts, count) = (new byte[256], new int[256], 1);
        Span<int> parted = stackalloc int[256];   // by class, the next one that was parted from the same class by this row
        parted.Fill(-1);
        foreach (var row in rows)
        {
            var before = count;
            for (var value = 0; value < 256; value++)
            {
                var c = (int)classes[value];
                while (row[firsts[c]] != row[value])
                {
                    if (parted[c] < 0)
                    {
                        firsts[count] = value;
                        parted[c] = count++;
                    }
                    c = parted[c];
                }
                classes[value] = (byte)c;
            }
            if (count > before) parted.Fill(-1);
        }
        return (classes, firsts[..count]);
    }

    UInt128 FamilyOf()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(_classes);
        hash.AppendData(MemoryMarshal.AsBytes(_next.AsSpan()));
        hash.AppendData(MemoryMarshal.AsBytes(_finals.AsSpan()));
        return MemoryMarshal.Read<UInt128>(hash.GetHashAndReset());
    }
}
