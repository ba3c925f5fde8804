using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>A cluster as its file describes it.</summary>
/// <param name="Coordinator">The link between the coordinator and every host; null: like each host's own network.</param>
sealed record ClusterDescription(string Name, IReadOnlyList<WorkerKind> Kinds, Link? Coordinator)
{
    public ClusterProfile ToProfile()
    {
        var hosts = Kinds.SelectMany(kind => Enumerable.Range(1, kind.Hosts).Select(number => (Kind: kind, Name: $"{kind.Name}-{number}"))).ToList();
        var workers = hosts.SelectMany((host, index) => Enumerable.Range(1, host.Kind.PerHost).Select(number => new WorkerProfile(
            host.Kind.PerHost == 1 ? host.Name : $"{host.Name}.{number}",
            index, host.Kind.MemoryBytes, host.Kind.Threads, host.Kind.ReadBytesPerSecond, host.Kind.MultiplyAddsPerSecond,
            new Dictionary<string, ProductPace>())));
        Link OuterOf(int host) => hosts[host].Kind.Outer ?? hosts[host].Kind.Inner;
        Link Between(int a, int b) => a == b ? hosts[a].Kind.Inner : Slower(OuterOf(a), OuterOf(b));
        return new ClusterProfile(
            [.. workers], [.. hosts.Select(host => HostProfile.WithoutLimits(host.Name))],
            new LinkTable(hosts.Count, Between, host => Coordinator ?? OuterOf(host)));
    }

    /// <summary>A connection is as slow as its slower end.</summary>
    static Link Slower(Link a, Link b) => new(Math.Max(a.RoundTripSeconds, b.RoundTripSeconds), Math.Min(a.BytesPerSecond, b.BytesPerSecond));
}

/// <summary>Like workers on like hosts, as a cluster file describes them. Figures are per worker.</summary>
/// <param name="Hosts">The number of hosts.</param>
/// <param name="PerHost">Workers on each host.</param>
/// <param name="Inner">The link between workers of one host.</param>
/// <param name="Outer">The link from its hosts to other hosts; null if there is only one host and the file names no network.</param>
sealed record WorkerKind(
    string Name, int Hosts, int PerHost, long MemoryBytes, int Threads, double ReadBytesPerSecond, double MultiplyAddsPerSecond, Link Inner, Link? Outer);

/// <summary>A processor that a cluster file can name in place of figures; the figures are for a whole socket.</summary>
/// <param name="PeakBytesPerSecond">All memory channels: the maker's figure, or channels x transfers x 8 bytes.</param>
/// <param name="CoreMultiplyAddsPerSecond">One core, with this program's products of bytes; see <see cref="Devices"/>.</param>
sealed record Device(string Name, int Cores, double PeakBytesPerSecond, double CoreMultiplyAddsPerSecond)
{
    /// <summary>The part of the peak that plain reads reach: 75 to 85 % is usual if all cores of a socket read.</summary>
    const double ReadShare = 0.8;

    public double ReadBytesPerSecond => ReadShare * PeakBytesPerSecond;

    public double MultiplyAddsPerSecond => Cores * CoreMultiplyAddsPerSecond;
}

/// <summary>
/// The built-in devices. Cores and memory bandwidth are from the makers' pages. Multiply-adds per second of a core are estimates from its vector width, not
/// measurements (one core of this project's machine, with AVX-512, was measured at 203e9).
/// </summary>
static class Devices
{
    /// <summary>AVX-512 in full width.</summary>
    const double Avx512 = 150e9;

    /// <summary>Zen 4, which carries AVX-512 out in two halves; http://numberworld.org/blogs/2024_8_7_zen5_avx512_teardown.</summary>
    const double Avx512InHalves = 100e9;

    /// <summary>AVX2, without VNNI or with its 256-bit form.</summary>
    const double Avx2 = 60e9;

    /// <summary>128-bit vectors.</summary>
    const double Narrow = 15e9;

    public static IReadOnlyList<Device> All { get; } =
    [
        // 12 x DDR5-4800; https://www.amd.com/en/products/processors/server/epyc/4th-generation-9004-and-8004-series/amd-epyc-9654.html
        new("epyc-9654", 96, 460.8e9, Avx512InHalves),
        // 8 x DDR4-3200; https://www.amd.com/en/products/processors/server/epyc/7003-series/amd-epyc-7763.html
        new("epyc-7763", 64, 204.8e9, Avx2),
        // 8 x DDR5-4800;
        // https://www.intel.com/content/www/us/en/products/sku/231746/intel-xeon-platinum-8480-processor-105m-cache-2-00-ghz/specifications.html
        new("xeon-8480+", 56, 307.2e9, Avx512),
        // 2 x DDR5-5200; https://www.amd.com/en/products/processors/desktops/ryzen/7000-series/amd-ryzen-9-7950x.html
        new("ryzen-7950x", 16, 83.2e9, Avx512InHalves),
        // 2 x DDR5-4800;
        // https://www.intel.com/content/www/us/en/products/sku/134586/intel-core-i512400-processor-18m-cache-up-to-4-40-ghz/specifications.html
        new("core-i5-12400", 6, 76.8e9, Avx2),
        // 32 bits of LPDDR4X-4267; https://datasheets.raspberrypi.com/rpi5/raspberry-pi-5-product-brief.pdf
        new("raspberry-pi-5", 4, 17.1e9, Narrow),
    ];

    public static Device? Find(string name) => All.FirstOrDefault(device => device.Name == name);
}
