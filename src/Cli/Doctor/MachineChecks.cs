using System.Globalization;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Doctor;

/// <summary>What this process was found to have.</summary>
/// <param name="Processors">That it may use.</param>
/// <param name="AllProcessors">Of the machine; 0: not known.</param>
/// <param name="Vectors">The width of its products, as KernelWidths names it.</param>
/// <param name="CacheFolder">Where weights are kept.</param>
/// <param name="CacheFree">Bytes that are free there; null: nothing can be written there.</param>
sealed record ProcessFacts(int Processors, int AllProcessors, string Vectors, string CacheFolder, long? CacheFree);

/// <summary>Checks of this machine, for who is about to start a worker or a coordinator on it.</summary>
sealed class MachineChecks(MachineFiles files, ProcessFacts process)
{
    const long LeastMemory = 512L << 20;
    const double LeastShare = 0.1;
    const long LeastDisk = 10_000_000_000;
    const int LeastFiles = 4096;

    /// <summary>Of a container's limit: the rest is for the runtime and the network's buffers.</summary>
    const double WorkersShare = 0.85;

    public IEnumerable<Diagnosis> All() => new[]
    {
        Memory(), Swap(), MemoryLimit(), Processors(), Vectors(), HugePages(), Numa(), Governor(), OpenFiles(), Cache(),
    }.OfType<Diagnosis>();

    Diagnosis? Memory()
    {
        if (files.Memory("MemTotal") is not { } all || files.Memory("MemAvailable") is not { } free) return null;
        var finding = $"{Amount.Bytes(free)} of {Amount.Bytes(all)} are free";
        if (free < LeastMemory)
            return new("memory", Verdict.Fail, finding, "end other programs: a worker needs what its part of the model takes, and half a gigabyte beside");
        return free < LeastShare * all
            ? new("memory", Verdict.Warn, finding, "end other programs, or start the worker with --memory and less than that")
            : new("memory", Verdict.Ok, finding);
    }

    Diagnosis? Swap()
    {
        if (files.Memory("SwapTotal") is not { } all || files.Memory("SwapFree") is not { } free) return null;
        if (all == 0) return new("swap", Verdict.Ok, "none");
        var used = all - free;
        return used > all / 20
            ? new("swap", Verdict.Warn, $"{Amount.Bytes(used)} of {Amount.Bytes(all)} are in use",
                "weights that are swapped out stall every token: give workers less with --memory, or switch swap off (swapoff -a)")
            : new("swap", Verdict.Ok, $"{Amount.Bytes(all)}, hardly used");
    }

    Diagnosis MemoryLimit() => files.MemoryLimit() is { } limit
        ? new("container memory", Verdict.Warn, $"limited to {Amount.Bytes(limit)}; without --memory a worker takes two thirds of that",
            string.Create(CultureInfo.InvariantCulture, $"start the worker with --memory {WorkersShare * limit / 1e9:0.0}GB, or raise the limit"))
        : new("container memory", Verdict.Ok, "no limit");

    Diagnosis Processors()
    {
        var have = process.AllProcessors > process.Processors
            ? $"{process.Processors} of {process.AllProcessors} may be used"
            : Amount.Count(process.Processors, "processor");
        return files.ProcessorQuota() is { } quota && quota < process.Processors
            ? new("processors", Verdict.Warn,
                string.Create(CultureInfo.InvariantCulture, $"{have}, for {quota:0.##} of their time: beyond that the kernel stops all threads for a while"),
                $"start the worker with --threads {Math.Max(1, (int)quota)}, or give it whole processors (cpuset) instead of a quota")
            : new("processors", Verdict.Ok, have);
    }

    Diagnosis Vectors() => process.Vectors is "scalar" or "vector128"
        ? new("vectors", Verdict.Warn, $"{process.Vectors}: products run several times slower than with AVX2 or wider vectors",
            "use a processor with AVX2 or AVX-512; in a virtual machine, pass the host's processor model through")
        : new("vectors", Verdict.Ok, process.Vectors);

    Diagnosis? HugePages()
    {
        const string switchFile = "sys/kernel/mm/transparent_hugepage/enabled";
        if (files.Read(switchFile) is not { } modes) return null;
        var mode = modes.Split('[', ']') is [_, var chosen, ..] ? chosen : modes;
        return mode == "never"
            ? new("huge pages", Verdict.Warn, "switched off: walking through weights costs more", $"echo madvise > /{switchFile}")
            : new("huge pages", Verdict.Ok, mode);
    }

    Diagnosis? Numa()
    {
        if (files.Read("sys/devices/system/node/online") is not { } nodes) return null;
        return nodes.Any(letter => letter is '-' or ',')
            ? new("NUMA", Verdict.Warn, $"memory is in several places (nodes {nodes}); a worker that spans them reads half of its weights from afar",
                "start one worker for each node: numactl --cpunodebind=0 --membind=0 llamacluster worker ..., with --memory and --threads of one node")
            : new("NUMA", Verdict.Ok, "one node");
    }

    Diagnosis? Governor() => files.Read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") switch
    {
        null => null,
        "powersave" => new("clock rate", Verdict.Warn, "powersave", "cpupower frequency-set -g performance"),
        var governor => new("clock rate", Verdict.Ok, governor),
    };

    Diagnosis? OpenFiles()
    {
        var line = files.Read("proc/self/limits")?.Split('\n').FirstOrDefault(line => line.StartsWith("Max open files", StringComparison.Ordinal));
        if (line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [.., var hard, "files"]) return null;
        return long.TryParse(hard, CultureInfo.InvariantCulture, out var most) && most < LeastFiles
            ? new("open files", Verdict.Warn, $"at most {most}; each client and each worker takes some",
                "raise the limit (ulimit -n 65536, LimitNOFILE= of systemd)")
            : new("open files", Verdict.Ok, hard == "unlimited" ? hard : $"up to {hard}");
    }

    Diagnosis Cache() => process.CacheFree switch
    {
        null => new("weights cache", Verdict.Fail, $"{process.CacheFolder} cannot be written to", "give the worker a folder with --cache"),
        < LeastDisk => new("weights cache", Verdict.Warn, $"{Amount.Bytes(process.CacheFree)} are free in {process.CacheFolder}",
            "weights that are fetched need room there: give the worker another folder with --cache"),
        _ => new("weights cache", Verdict.Ok, $"{Amount.Bytes(process.CacheFree)} are free in {process.CacheFolder}"),
    };
}
