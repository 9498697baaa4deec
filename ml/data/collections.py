"""The published collections this library reads: whose they are, under which licence, and where they come from.

Addresses and checksums are those that the publishers state; where a publisher states no checksum, none is made up.
Nothing here is fetched while training or serving: ``python -m ml data fetch`` is the only way.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file that a publisher offers by plain download.

    Attributes:
        name: the file's name on disk.
        url: its official address.
        digest: ``algorithm:hexadecimal`` as the publisher states it; empty where it states none.
        size: bytes, where the publisher states them.
    """

    name: str
    url: str
    digest: str = ""
    size: int | None = None

    @property
    def is_archive(self) -> bool:
        return self.name.endswith((".zip", ".tar.gz"))


@dataclass(frozen=True, slots=True)
class Collection:
    """One published collection.

    Attributes:
        name: how commands call it; the ``source`` of its records.
        title: its full name.
        modality: ``US``, ``MG`` or ``CESM``.
        licence: the licence in words.
        citation: the publication that its users cite.
        address: the publisher's page.
        unpacked: what the folder given to ``--data`` holds once everything is in place.
        files: what can be fetched by plain download; empty where the publisher hands the data out in another way.
        by_hand: what the person has to do beside, or instead; empty when the download is all.
        research_only: the licence forbids any other use; models trained on it carry that limit.
    """

    name: str
    title: str
    modality: str
    licence: str
    citation: str
    address: str
    unpacked: str
    files: tuple[RemoteFile, ...] = field(default=())
    by_hand: str = ""
    research_only: bool = False


_TCIA = "https://www.cancerimagingarchive.net"

_CESM_BY_HAND = (
    "Open the page, choose the images under Data Access and fetch them with the IBM Aspera Connect plug-in (the "
    "archive offers them in no other way). Put the folders 'Low energy images of CDD-CESM' and 'Subtracted images of "
    "CDD-CESM' and Radiology_hand_drawn_segmentations_v2.csv into the same folder as the table."
)
_CESM_FILES = (
    RemoteFile(
        name="Radiology-manual-annotations.xlsx",
        url=f"{_TCIA}/wp-content/uploads/Radiology-manual-annotations.xlsx",
    ),
)
_CESM_CITATION = (
    "Khaled R, Helal M, Alfarghaly O, et al. Categorized contrast enhanced mammography dataset for diagnostic and "
    "artificial intelligence research. Scientific Data 9:122 (2022). doi:10.1038/s41597-022-01238-0"
)
_CESM_UNPACKED = (
    "Radiology-manual-annotations.xlsx (or its sheet 'all' as .csv), Radiology_hand_drawn_segmentations_v2.csv, "
    "'Low energy images of CDD-CESM/', 'Subtracted images of CDD-CESM/'"
)
_CBIS_TABLES = ("mass_case_description_train_set", "mass_case_description_test_set") + (
    "calc_case_description_train_set",
    "calc_case_description_test_set",
)

COLLECTIONS = {
    each.name: each
    for each in (
        Collection(
            name="busi",
            title="BUSI, Breast Ultrasound Images Dataset, Baheya Hospital, Cairo",
            modality="US",
            licence="no licence file comes with the images; the article that describes them is CC BY 4.0",
            citation=(
                "Al-Dhabyani W, Gomaa M, Khaled H, Fahmy A. Dataset of breast ultrasound images. Data in Brief "
                "28:104863 (2020). doi:10.1016/j.dib.2019.104863"
            ),
            address="https://scholar.cu.edu.eg/?q=afahmy/pages/dataset",
            unpacked="the folders benign/, malignant/ and normal/ (archive: Dataset_BUSI_with_GT/)",
            files=(RemoteFile(name="Dataset_BUSI.zip", url="https://scholar.cu.edu.eg/Dataset_BUSI.zip"),),
        ),
        Collection(
            name="busbra",
            title="BUS-BRA, breast ultrasound, National Institute of Cancer, Rio de Janeiro",
            modality="US",
            licence="CC BY 4.0",
            citation=(
                "Gómez-Flores W, Gregorio-Calas MJ, Pereira WCA. BUS-BRA: A breast ultrasound dataset for assessing "
                "computer-aided diagnosis systems. Medical Physics 51(4):3110-3123 (2024). doi:10.1002/mp.16812"
            ),
            address="https://zenodo.org/records/8231412",
            unpacked="bus_data.csv, Images/ and Masks/ (archive: BUSBRA/)",
            files=(
                RemoteFile(
                    name="BUSBRA.zip",
                    url="https://zenodo.org/api/records/8231412/files/BUSBRA.zip/content",
                    digest="md5:1f8b2be6476d58fc97bfb5e5a1ea9bab",
                    size=133_917_740,
                ),
            ),
        ),
        Collection(
            name="breast",
            title="BrEaST-Lesions-USG, breast ultrasound, Poland",
            modality="US",
            licence="CC BY 4.0",
            citation=(
                "Pawłowska A, Ćwierz-Pieńkowska A, Domalik A, et al. Curated benchmark dataset for ultrasound based "
                "breast lesion analysis. Scientific Data 11:148 (2024). doi:10.1038/s41597-024-02984-z"
            ),
            address=f"{_TCIA}/collection/breast-lesions-usg/",
            unpacked=(
                "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx (or the same as .csv) and "
                "BrEaST-Lesions_USG-images_and_masks/ with case001.png, case001_tumor.png ..."
            ),
            files=(
                RemoteFile(
                    name="BrEaST-Lesions_USG-images_and_masks-Dec-15-2023.zip",
                    url=f"{_TCIA}/wp-content/uploads/BrEaST-Lesions_USG-images_and_masks-Dec-15-2023.zip",
                ),
                RemoteFile(
                    name="BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx",
                    url=f"{_TCIA}/wp-content/uploads/BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx",
                ),
            ),
        ),
        Collection(
            name="mini-mias",
            title="mini-MIAS, film mammograms of the UK National Breast Screening Programme, at 200 micrometres",
            modality="MG",
            licence="MIAS licence agreement: research purposes only, no renting, leasing or selling",
            citation=(
                "Suckling J, Parker J, Dance DR, et al. The Mammographic Image Analysis Society digital mammogram "
                "database. Excerpta Medica, International Congress Series 1069:375-378 (1994)."
            ),
            address="http://peipa.essex.ac.uk/info/mias.html",
            unpacked="Info.txt and mdb001.pgm ... mdb322.pgm",
            files=(RemoteFile(name="all-mias.tar.gz", url="http://peipa.essex.ac.uk/pix/mias/all-mias.tar.gz"),),
            research_only=True,
        ),
        Collection(
            name="cbis-ddsm",
            title="CBIS-DDSM, curated film mammograms of the DDSM",
            modality="MG",
            licence="CC BY 3.0",
            citation=(
                "Lee RS, Gimenez F, Hoogi A, Miyake KK, Gorovoy M, Rubin DL. A curated mammography data set for use in "
                "computer-aided detection and diagnosis research. Scientific Data 4:170177 (2017). "
                "doi:10.1038/sdata.2017.177"
            ),
            address=f"{_TCIA}/collection/cbis-ddsm/",
            unpacked=(
                "the four *_case_description_*_set.csv and the folder CBIS-DDSM/ with Mass-Training_P_00001_LEFT_CC/ "
                "... (DICOM); or csv/ and jpeg/ of the JPEG edition on Kaggle"
            ),
            files=tuple(
                RemoteFile(name=f"{table}.csv", url=f"{_TCIA}/wp-content/uploads/{table}.csv") for table in _CBIS_TABLES
            ),
            by_hand=(
                "The images (163 GB of DICOM) come by the NBIA Data Retriever only: open the page, fetch the .tcia "
                "manifest under Data Access, open it with the Data Retriever and let it write into the same folder as "
                "the tables."
            ),
        ),
        Collection(
            name="inbreast",
            title="INbreast, full-field digital mammograms, Centro Hospitalar de S. João, Porto",
            modality="MG",
            licence="no open licence: handed out on request, for research",
            citation=(
                "Moreira IC, Amaral I, Domingues I, Cardoso A, Cardoso MJ, Cardoso JS. INbreast: toward a full-field "
                "digital mammographic database. Academic Radiology 19(2):236-248 (2012). doi:10.1016/j.acra.2011.09.014"
            ),
            address="http://medicalresearch.inescporto.pt/breastresearch/index.php/Get_INbreast_Database",
            unpacked="INbreast.csv, AllDICOMs/ and AllXML/ (archive: 'INbreast Release 1.0/')",
            by_hand=(
                "Ask the authors at INESC TEC, Porto, for the archive (the page has been unreachable at times; the "
                "article names the corresponding author), and unpack it."
            ),
            research_only=True,
        ),
        Collection(
            name="cdd-cesm",
            title="CDD-CESM, contrast-enhanced mammography, subtracted images, National Cancer Institute, Cairo",
            modality="CESM",
            licence="CC BY 4.0",
            citation=_CESM_CITATION,
            address=f"{_TCIA}/collection/cdd-cesm/",
            unpacked=_CESM_UNPACKED,
            files=_CESM_FILES,
            by_hand=_CESM_BY_HAND,
        ),
        Collection(
            name="cdd-cesm-low-energy",
            title="CDD-CESM, contrast-enhanced mammography, low-energy images, National Cancer Institute, Cairo",
            modality="MG",
            licence="CC BY 4.0",
            citation=_CESM_CITATION,
            address=f"{_TCIA}/collection/cdd-cesm/",
            unpacked=_CESM_UNPACKED,
            files=_CESM_FILES,
            by_hand=_CESM_BY_HAND,
        ),
    )
}


def modality_of(source: str) -> str:
    """``US``, ``MG`` or ``CESM`` of a collection by its name; empty for a collection that is not a published one."""
    return COLLECTIONS[source].modality if source in COLLECTIONS else ""
